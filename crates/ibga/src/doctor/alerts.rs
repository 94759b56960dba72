//! Whether anybody is told: the channels, what they need on this machine, and the dead man's switch. Nothing is sent.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use ibga_core::gate::age_text;
use ibga_core::window::wall;
use jiff::SignedDuration;
use rustix::fs::{Access, AtFlags};
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::{Finding, Subject};
use crate::alert::channel::ChannelName;
use crate::check::trust;
use crate::settings::{AlertSettings, ChannelSettings, Secret, Settings};
use crate::shell;

/// The most that is read of a file of certificates; the system's own bundles have a quarter of it.
const CERTIFICATES_BYTES_MAX: u64 = 1024 * 1024;

/// Something on this machine that a channel needs.
#[derive(Clone, Debug)]
enum Seen {
    /// The file of a secret, and whether it can be used now.
    Secret { path: PathBuf, read: Result<(), String>, owner: u32, mode: u32 },
    /// The file of certificates, and how many it holds.
    Certificates { path: PathBuf, count: Result<usize, String> },
    /// The directory of templates.
    Templates { path: PathBuf, listed: Result<(), String> },
    /// The program that takes mails.
    Program { path: PathBuf, can_run: Result<(), String> },
}

pub(super) fn examine(settings: &Settings) -> Vec<Finding> {
    let alerts = &settings.alerts;
    let mut findings = vec![judge_channels(alerts)];
    findings.extend(look(settings).iter().filter_map(|seen| judge(Subject::Alerts, seen)));
    let file = alerts.ping_url.as_ref().and_then(|url| look_at_secret(settings, url));
    findings.push(judge_switch(alerts.ping_url.as_ref(), file.as_ref()));
    findings
}

// --- What is seen -----------------------------------------------------------------------------------------------------

fn look(settings: &Settings) -> Vec<Seen> {
    let alerts = &settings.alerts;
    let secrets = alerts.channels.iter().flat_map(ChannelSettings::secrets);
    let mut seen: Vec<Seen> = secrets.filter_map(|secret| look_at_secret(settings, secret)).collect();
    for channel in &alerts.channels {
        if let ChannelSettings::Sendmail { program, .. } = channel {
            seen.push(Seen::Program { path: program.clone(), can_run: can_run(program) });
        }
    }
    seen.extend(alerts.ca_file.iter().map(|path| Seen::Certificates { path: path.clone(), count: certificates(path) }));
    seen.extend(alerts.templates.iter().map(|path| {
        let listed = fs::read_dir(path).map(drop).map_err(|fault| fault.to_string());
        Seen::Templates { path: path.clone(), listed }
    }));
    seen
}

/// Reads the file as it is read when something is sent, and forgets what it holds. Nothing for a text.
fn look_at_secret(settings: &Settings, secret: &Secret) -> Option<Seen> {
    let Secret::File(path) = secret else { return None };
    let metadata = fs::metadata(path);
    let (owner, mode) = metadata.map_or((0, 0), |seen| (seen.uid(), seen.mode() & 0o7777));
    Some(Seen::Secret { path: path.clone(), read: secret.reveal(&trust(settings)).map(drop), owner, mode })
}

fn can_run(path: &Path) -> Result<(), String> {
    if !fs::metadata(path).map_err(|fault| fault.to_string())?.is_file() {
        return Err("is no program".into());
    }
    rustix::fs::accessat(rustix::fs::CWD, path, Access::EXEC_OK, AtFlags::EACCESS)
        .map_err(|fault| io::Error::from(fault).to_string())
}

/// How many certificates a TLS client would take from the file.
fn certificates(path: &Path) -> Result<usize, String> {
    let mut text = Vec::new();
    let file = File::open(path).map_err(|fault| fault.to_string())?;
    file.take(CERTIFICATES_BYTES_MAX).read_to_end(&mut text).map_err(|fault| fault.to_string())?;
    let mut store = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&text) {
        let certificate = certificate.map_err(|fault| fault.to_string())?;
        store.add(certificate).map_err(|fault| fault.to_string())?;
    }
    Ok(store.len())
}

// --- What it means ----------------------------------------------------------------------------------------------------

fn judge_channels(alerts: &AlertSettings) -> Finding {
    let subject = Subject::Alerts;
    let is_first = |name: &ChannelName| !alerts.escalate_to.contains(name);
    let first: Vec<ChannelName> = alerts.names().into_iter().filter(is_first).collect();
    if first.is_empty() {
        return Finding::doubtful(
            subject,
            "nobody is told when the verdict changes",
            "set alert_email and smtp_host, or another channel; then `ibga alert test`",
        );
    }
    let mut text = format!("told by {}", words(&first));
    if let Some(after) = alerts.escalate_after.and_then(|after| SignedDuration::try_from(after).ok()) {
        let _ =
            write!(text, ", and by {} if nobody acknowledges within {}", words(&alerts.escalate_to), age_text(after));
    }
    if let Some(quiet) = &alerts.quiet {
        let zone = quiet.zone.iana_name().unwrap_or("UTC");
        let _ = write!(text, "; quiet {}-{} {zone} while no trading is near", wall(quiet.from), wall(quiet.to));
    }
    Finding::good(subject, text)
}

fn words(names: &[ChannelName]) -> String {
    names.iter().map(|name| name.as_str()).collect::<Vec<_>>().join(", ")
}

/// Nothing to say of what is as it has to be.
fn judge(subject: Subject, seen: &Seen) -> Option<Finding> {
    let faulty = |text: String, repair: &str| Some(Finding::faulty(subject, text, repair));
    match seen {
        Seen::Secret { read: Err(fault), .. } => faulty(
            fault.clone(),
            "write the secret into a file that this user may read and nobody else write, and name that",
        ),
        Seen::Secret { path, read: Ok(()), owner, mode } if *owner != 0 && mode & 0o077 != 0 => {
            let typed = shell::word(&path.display().to_string());
            let text = format!("{} has mode {mode:04o}, by which others may get at the secret in it", path.display());
            Some(Finding::doubtful(subject, text, format!("`chmod go= {typed}`")))
        }
        Seen::Certificates { path, count: Err(fault) } => {
            faulty(format!("{}: {fault}", path.display()), "correct alert_ca_file: certificates as PEM")
        }
        Seen::Certificates { path, count: Ok(0) } => {
            faulty(format!("{} holds no certificate", path.display()), "correct alert_ca_file: certificates as PEM")
        }
        Seen::Templates { path, listed: Err(fault) } => faulty(
            format!("{}: {fault}", path.display()),
            "let this user read that directory, or correct alert_templates",
        ),
        Seen::Program { path, can_run: Err(fault) } => {
            faulty(format!("{}: {fault}", path.display()), "install such a program, or correct sendmail")
        }
        Seen::Secret { .. } | Seen::Certificates { .. } | Seen::Templates { .. } | Seen::Program { .. } => None,
    }
}

/// The URL, and what was seen of the file that holds it, if one does.
fn judge_switch(url: Option<&Secret>, file: Option<&Seen>) -> Finding {
    let subject = Subject::DeadMansSwitch;
    if url.is_none() {
        return Finding::doubtful(
            subject,
            "nobody notices if this program itself stops",
            "set IBGA_PING_URL, or ping_url_file, to a URL that raises an alarm when it is no longer called",
        );
    }
    let good = || Finding::good(subject, "a URL is set that notices if this program stops");
    file.and_then(|seen| judge(subject, seen)).unwrap_or_else(good)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::time::Duration;

    use ibga_core::alert::QuietHours;
    use jiff::civil::time;
    use jiff::tz::TimeZone;

    use super::*;

    fn told(finding: &Finding) -> String {
        let repair = finding.outcome.repair().unwrap_or_default();
        format!("{} {}: {} -> {repair}", finding.outcome.code(), finding.subject.name(), finding.text)
    }

    #[test]
    fn who_is_told() {
        let ntfy = || ChannelSettings::Ntfy { url: Secret::Text("https://hunter2".into()), token: None };
        let command = || ChannelSettings::Command { line: "hunter2".into() };
        let with = |channels| AlertSettings { channels, ..AlertSettings::default() };
        let escalating = AlertSettings {
            escalate_after: Some(Duration::from_mins(15)),
            escalate_to: vec![ChannelName::Command],
            quiet: Some(QuietHours {
                from: time(22, 0, 0, 0),
                to: time(7, 0, 0, 0),
                zone: TimeZone::get("Europe/Zurich").unwrap(),
            }),
            ..with(vec![ntfy(), command()])
        };
        for (alerts, expected) in [
            (
                AlertSettings::default(),
                "doubtful alerts: nobody is told when the verdict changes -> set alert_email and smtp_host, or another \
                 channel; then `ibga alert test`",
            ),
            (with(vec![ntfy(), command()]), "ok alerts: told by ntfy, command -> "),
            (
                escalating,
                "ok alerts: told by ntfy, and by command if nobody acknowledges within 15 min; quiet 22:00-07:00 \
                 Europe/Zurich while no trading is near -> ",
            ),
        ] {
            assert_eq!(told(&judge_channels(&alerts)), expected);
        }
    }

    #[test]
    fn what_channels_need() {
        let path = || PathBuf::from("/etc/it's");
        let no = || Err("Permission denied".to_owned());
        let secret = |read, owner, mode| Seen::Secret { path: path(), read, owner, mode };
        for (seen, expected) in [
            (secret(Ok(()), 1000, 0o600), ""),
            (secret(Ok(()), 0, 0o444), ""),
            (secret(Ok(()), 1000, 0o640), "doubtful: /etc/it's has mode 0640, by which others"),
            (secret(Err("/etc/it's: holds nothing".into()), 0, 0), "faulty: /etc/it's: holds nothing"),
            (Seen::Certificates { path: path(), count: Ok(1) }, ""),
            (Seen::Certificates { path: path(), count: Ok(0) }, "faulty: /etc/it's holds no certificate"),
            (Seen::Certificates { path: path(), count: Err("cut".into()) }, "faulty: /etc/it's: cut"),
            (Seen::Templates { path: path(), listed: Ok(()) }, ""),
            (Seen::Templates { path: path(), listed: no() }, "faulty: /etc/it's: Permission denied"),
            (Seen::Program { path: path(), can_run: Ok(()) }, ""),
            (Seen::Program { path: path(), can_run: no() }, "faulty: /etc/it's: Permission denied"),
        ] {
            let finding = judge(Subject::Alerts, &seen);
            let told = finding.as_ref().map(|found| format!("{}: {}", found.outcome.code(), found.text));
            assert!(told.clone().unwrap_or_default().starts_with(expected), "{told:?}");
            assert_eq!(told.is_none(), expected.is_empty(), "{told:?}");
            assert!(finding.is_none_or(|found| found.outcome.repair().is_some_and(|repair| !repair.is_empty())));
        }
        let open = judge(Subject::Alerts, &secret(Ok(()), 1000, 0o604)).unwrap();
        assert_eq!(open.outcome.repair(), Some("`chmod go= '/etc/it'\\''s'`"));
    }

    #[test]
    fn the_switch() {
        let unreadable = Seen::Secret { path: "/x".into(), read: Err("/x: not found".into()), owner: 0, mode: 0 };
        let open = Seen::Secret { path: "/x".into(), read: Ok(()), owner: 1000, mode: 0o644 };
        let url = Secret::Text("https://hunter2".into());
        for (url, file, expected) in [
            (None, None, "doubtful dead man's switch: nobody notices if this program itself stops"),
            (Some(&url), None, "ok dead man's switch: a URL is set"),
            (Some(&url), Some(&unreadable), "faulty dead man's switch: /x: not found"),
            (Some(&url), Some(&open), "doubtful dead man's switch: /x has mode 0644"),
        ] {
            let finding = judge_switch(url, file);
            assert!(told(&finding).starts_with(expected), "{finding:?}");
            assert_eq!(finding.document()["subject"], "dead_mans_switch");
        }
    }

    #[test]
    fn files_are_looked_at() {
        let folder = std::env::temp_dir().join(format!("ibga-doctor-alerts-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let file = |name: &str, text: &str, mode| {
            let path = folder.join(name);
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            path
        };
        let authority = rcgen::generate_simple_self_signed(vec!["mail.test".into()]).unwrap().cert.pem();
        assert_eq!(certificates(&file("one.pem", &format!("# mine\n{authority}"), 0o600)), Ok(1));
        assert_eq!(certificates(&file("two.pem", &format!("{authority}\n{authority}"), 0o600)), Ok(2));
        assert_eq!(certificates(&file("none.pem", "mail.test\n", 0o600)), Ok(0));
        let cut = authority.get(..authority.len() / 2).unwrap();
        assert!(certificates(&file("cut.pem", cut, 0o600)).is_err());
        assert!(certificates(&folder.join("absent")).is_err());
        assert_eq!(can_run(&file("runs", "#!/bin/sh\n", 0o755)), Ok(()));
        assert!(can_run(&file("rests", "#!/bin/sh\n", 0o644)).is_err());
        assert_eq!(can_run(&folder), Err("is no program".into()));
        fs::remove_dir_all(folder).unwrap();
    }
}
