//! Mail through a local program, by the rules that all `sendmail` programs share: the recipients as arguments, the message on
//! standard input, and what became of it as one of the codes of `sysexits.h`.

use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use ibga_core::clock;
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{ChildStderr, ChildStdin, Command};

use super::mail::{self, Letter, Veil};
use super::{Channel, ChannelName, Receipt, SendError, Sending};
use crate::alert::message::Message;

/// Most bytes of what the program says that are kept; the rest is read and dropped, so that it can go on writing.
const ERROR_BYTES_MAX: usize = 2 * 1024;

/// How long the program's last words are waited for when it has ended. One that it leaves behind may hold the pipe for ever.
const LAST_WORDS_LIMIT: Duration = Duration::from_millis(200);

/// The variables that such a program may need. The others may hold secrets of ours.
const ENVIRONMENT: [&str; 6] = ["PATH", "HOME", "USER", "LOGNAME", "TZ", "TMPDIR"];

/// Mail through a local program.
#[derive(Debug)]
pub struct Sendmail {
    program: PathBuf,
    from: String,
    to: Vec<String>,
}

impl Channel for Sendmail {
    fn name(&self) -> ChannelName {
        ChannelName::Sendmail
    }

    fn send<'a>(&'a self, message: &'a Message) -> Sending<'a> {
        Box::pin(self.deliver(message))
    }
}

impl Sendmail {
    /// A channel through this program.
    pub fn new(program: PathBuf, from: String, to: Vec<String>) -> Self {
        Self { program, from, to }
    }

    async fn deliver(&self, message: &Message) -> Result<Receipt, SendError> {
        let letter = mail::letter(message, &self.from, &self.to, clock::now())?;
        let program = self.program.display();
        let mut child = self.command(&letter).spawn().map_err(|fault| {
            SendError::channel(&format!("{program} cannot be started: {fault}; correct its path in the settings"))
        })?;
        let group = Group(child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?)));
        let (input, errors) = (child.stdin.take(), child.stderr.take());
        let mut said = Vec::new();
        let status = {
            let listening = listen(errors, &mut said);
            tokio::pin!(listening);
            let running = async { tokio::join!(hand_over(input, &letter), child.wait()).1 };
            tokio::pin!(running);
            // Both at once, since a program that nobody listens to may stop; but its end is what counts.
            let ended = tokio::select! {
                ended = &mut running => {
                    group.release();
                    let _ = tokio::time::timeout(LAST_WORDS_LIMIT, listening).await;
                    ended
                }
                () = &mut listening => {
                    let ended = running.await;
                    group.release();
                    ended
                }
            };
            ended.map_err(|fault| SendError::channel(&format!("{program}: {fault}")))?
        };
        let said = Veil::over(&letter).draw(&String::from_utf8_lossy(&said));
        self.judge(status, &said, &letter)
    }

    fn command(&self, letter: &Letter) -> Command {
        let mut command = Command::new(&self.program);
        command.arg("-i").arg("-f").arg(AsRef::<str>::as_ref(&letter.from)).arg("--");
        command.args(letter.to.iter().map(ToString::to_string));
        command.env_clear();
        command.envs(ENVIRONMENT.into_iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
        // A group of its own, so that its children end with it when the time is over.
        command.process_group(0).kill_on_drop(true);
        command
    }

    /// What its end means, by the codes of `sysexits.h`.
    fn judge(&self, status: ExitStatus, said: &str, letter: &Letter) -> Result<Receipt, SendError> {
        let program = self.program.display();
        let said = if said.trim().is_empty() { String::new() } else { format!(": {}", said.trim()) };
        let Some(code) = status.code() else {
            return Err(SendError::channel(&format!("{program} ended by a signal ({status}){said}")));
        };
        let meaning = match code {
            0 => {
                let unreadable = match letter.unreadable.as_slice() {
                    [] => String::new(),
                    some => format!("; left out {} (no mail address)", some.join(", ")),
                };
                return Ok(Receipt::new(&format!("{program} took it{said}{unreadable}")));
            }
            65 => return Err(SendError::message(&format!("{program} refused the message (65){said}"))),
            67 | 68 => return Err(SendError::message(&format!("{program} knows no such recipient ({code}){said}"))),
            69 => "has no mail service",
            71..=74 => "met a fault of this machine",
            75 => "could not take it for now",
            77 => "may not send mail for whoever runs ibga",
            78 => "is not configured",
            _ => "failed",
        };
        Err(SendError::channel(&format!("{program} {meaning} ({code}){said}")))
    }
}

/// Writes the message, with the line ends of this system. A program that ends before it has read all says why by its code.
async fn hand_over(input: Option<ChildStdin>, letter: &Letter) {
    let Some(mut input) = input else { return };
    let text: Vec<u8> = letter.bytes.iter().copied().filter(|byte| *byte != b'\r').collect();
    let _ = input.write_all(&text).await;
    let _ = input.shutdown().await;
}

/// Keeps the beginning of what the program says.
async fn listen(errors: Option<ChildStderr>, said: &mut Vec<u8>) {
    let Some(mut errors) = errors else { return };
    let mut buffer = [0; 1024];
    while let Ok(count @ 1..) = errors.read(&mut buffer).await {
        let room = ERROR_BYTES_MAX.saturating_sub(said.len());
        said.extend(buffer.iter().take(count.min(room)));
    }
}

/// The program and its children. They are killed unless they are released: what a program leaves behind when it ends, such as a
/// queue runner, is its own business.
struct Group(Option<Pid>);

impl Group {
    fn release(mut self) {
        self.0 = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(pid) = self.0 {
            let _ = kill_process_group(pid, Signal::KILL);
        }
    }
}
