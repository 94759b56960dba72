//! An alert in words: what each channel takes its own part of.

use ibga_core::alert::Alert;

/// An alert, rendered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// What it says, for programs.
    pub alert: Alert,
    /// One line, such as `IBGA NEEDS IB KEY APPROVAL - api_silent, default - opens in 42 min`.
    pub subject: String,
    /// Some lines of plain text.
    pub text: String,
    /// The same as a page for a mail reader.
    pub html: String,
    /// The essence in at most 500 characters, for a phone's lock screen and for chats.
    pub brief: String,
}
