//! Programs of the operator's: their process group, which is ended with them, and the end of what they say.

use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::Child;

/// How much of the end of what a program says is kept.
const TAIL_BYTES_MAX: usize = 4096;

/// How long its last words are waited for once it has ended. They are there already, unless somebody who left its group holds the
/// pipe.
pub(crate) const LAST_WORDS_LIMIT: Duration = Duration::from_secs(1);

/// The processes of one program. Ended when this is dropped, those that it left behind, too.
pub(crate) struct Group(Option<Pid>);

impl Group {
    /// Of a program that was started as the leader of a group of its own.
    pub(crate) fn of(child: &Child) -> Self {
        Self(child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?)))
    }

    /// Lets what the program left behind live on.
    pub(crate) fn release(mut self) {
        self.0 = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // The number is still theirs: the system gives it to nobody while one of them is left, and comes back to it only after
        // all others.
        if let Some(leader) = self.0 {
            let _ = kill_process_group(leader, Signal::KILL);
        }
    }
}

/// The end of what a program says on one of its streams.
pub(crate) struct LastWords<P> {
    pipe: Option<P>,
    tail: Vec<u8>,
}

impl<P: AsyncRead + Unpin> LastWords<P> {
    pub(crate) fn new(pipe: Option<P>) -> Self {
        Self { pipe, tail: Vec::new() }
    }

    /// Reads to the end, however much there is.
    pub(crate) async fn listen(&mut self) {
        let Some(pipe) = &mut self.pipe else { return };
        loop {
            self.tail.reserve(TAIL_BYTES_MAX);
            match pipe.read_buf(&mut self.tail).await {
                Ok(0) | Err(_) => return,
                Ok(_) => {
                    let surplus = self.tail.len().saturating_sub(TAIL_BYTES_MAX);
                    self.tail.drain(..surplus);
                }
            }
        }
    }

    /// The last line that says anything; without a first half that may have been cut off.
    pub(crate) fn last_line(&self) -> String {
        let text = String::from_utf8_lossy(&self.tail);
        let line = text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default();
        let is_cut = self.tail.len() == TAIL_BYTES_MAX && text.starts_with(line);
        let line = if is_cut { line.split_once(' ').map_or("", |(_, rest)| rest) } else { line };
        line.trim().to_owned()
    }
}
