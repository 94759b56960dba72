//! A program of the operator's: a line for the shell, with the alert as JSON on its standard input.
//!
//! Whatever the program does, it is gone when the sending is over: its whole process group is ended, and neither what it does not
//! read nor what it prints holds anything up.

use std::process::{ExitStatus, Stdio};

use tokio::io::AsyncWriteExt;
use tokio::process::{Child, ChildStderr, ChildStdin};

use super::veil::Veil;
use super::{Channel, ChannelName, Receipt, SendError, Sending, document};
use crate::alert::message::Message;
use crate::output::printable;
use crate::process::{Group, LAST_WORDS_LIMIT, LastWords};

/// A program of the operator's.
pub(super) struct Command {
    line: String,
}

impl Command {
    pub(super) fn new(line: String) -> Self {
        Self { line }
    }

    async fn run(&self, message: &Message) -> Result<Receipt, SendError> {
        let started = self.started(message);
        let (mut child, group) = started.map_err(|fault| SendError::channel(&format!("/bin/sh: {fault}")))?;
        let input = child.stdin.take();
        let mut words = LastWords::new(child.stderr.take());
        let document = document(message).to_string();
        let status = tokio::select! {
            status = child.wait() => status,
            () = converse(input, document.as_bytes(), &mut words) => child.wait().await,
        };
        drop(group);
        let _ = tokio::time::timeout(LAST_WORDS_LIMIT, words.listen()).await;
        let status = status.map_err(|fault| SendError::channel(&format!("the command's end: {fault}")))?;
        self.judged(status, &words.last_line())
    }

    fn started(&self, message: &Message) -> std::io::Result<(Child, Group)> {
        let mut command = tokio::process::Command::new("/bin/sh");
        command
            .arg("-c")
            .arg(&self.line)
            .env("IBGA_ALERT_SUBJECT", printable(&message.subject))
            .env("IBGA_ALERT_KIND", message.alert.kind.code())
            .env("IBGA_ALERT_KEY", printable(&message.alert.key))
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true);
        let child = command.spawn()?;
        let group = Group::of(&child);
        Ok((child, group))
    }

    fn judged(&self, status: ExitStatus, last_line: &str) -> Result<Receipt, SendError> {
        if status.success() {
            return Ok(Receipt::new("the command ended with exit code 0"));
        }
        let end = match status.code() {
            Some(code) => format!("the command failed with exit code {code}"),
            None => format!("the command was ended by {}", printable(&status.to_string())),
        };
        let words = if last_line.is_empty() { String::new() } else { format!(": {last_line}") };
        let mut veil = Veil::default();
        veil.hide_line(&self.line);
        Err(SendError::channel(&veil.draw(&format!("{end}{words}"))))
    }
}

impl Channel for Command {
    fn name(&self) -> ChannelName {
        ChannelName::Command
    }

    fn send<'a>(&'a self, message: &'a Message) -> Sending<'a> {
        Box::pin(self.run(message))
    }
}

/// Tells it the alert and hears what it says. Ends when the pipes do.
async fn converse(input: Option<ChildStdin>, document: &[u8], words: &mut LastWords<ChildStderr>) {
    let tell = async {
        if let Some(mut input) = input {
            // A command need not read.
            let _ = input.write_all(document).await;
        }
    };
    tokio::join!(tell, words.listen());
}
