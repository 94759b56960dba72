//! The log of a watch on standard error: one dated line for each thing that happened. Under systemd the journal dates them.

use std::sync::Arc;

use ibga_core::clock;
use jiff::tz::TimeZone;

use crate::output::{Output, printable};
use crate::settings::Settings;

/// Where lines go.
#[derive(Clone)]
pub(super) struct Log(Arc<Inner>);

struct Inner {
    output: Output,
    zone: TimeZone,
    dated: bool,
    /// With one gateway its name need not stand in every line.
    names_gateways: bool,
}

impl Log {
    pub(super) fn new(output: Output, zone: TimeZone, gateways: usize) -> Self {
        let dated = std::env::var_os("JOURNAL_STREAM").is_none();
        Self(Arc::new(Inner { output, zone, dated, names_gateways: gateways > 1 }))
    }

    /// Something about a gateway.
    pub(super) fn line(&self, settings: &Settings, text: &str) {
        self.general(&self.about(settings, text));
    }

    /// The same, but nothing good.
    pub(super) fn warning(&self, settings: &Settings, text: &str) {
        self.line(settings, &format!("warning: {text}"));
    }

    /// The same, for those who want to know more.
    pub(super) fn detail(&self, settings: &Settings, text: &str) {
        self.0.output.detail(&self.dated(&self.about(settings, text)));
    }

    /// Something about all of them.
    pub(super) fn general(&self, text: &str) {
        self.0.output.message(&self.dated(text));
    }

    fn about(&self, settings: &Settings, text: &str) -> String {
        if self.0.names_gateways { format!("{}: {text}", settings.gateway) } else { text.to_owned() }
    }

    fn dated(&self, text: &str) -> String {
        let text = printable(text);
        if !self.0.dated {
            return text;
        }
        let at = clock::now().to_zoned(self.0.zone.clone()).strftime("%Y-%m-%dT%H:%M:%S%:z").to_string();
        format!("{at} ibga watch: {text}")
    }
}
