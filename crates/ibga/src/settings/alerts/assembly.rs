//! From what the sources say to channels that are complete.

use std::time::Duration;

use ibga_core::alert::QuietHours;

use super::{AlertSettings, ChannelSettings, Secret, Smtp, SmtpSecurity};
use crate::alert::channel::ChannelName;
use crate::settings::fault::{Fault, Origin, Place, Problem};
use crate::settings::layers::{Entry, Layer, pick};
use crate::settings::names::alerts as names;
use crate::settings::names::{Kind, Setting};
use crate::settings::values::{self, Host, Parse, alerts as alert_values};
use crate::settings::{Reader, Reported, Sourced, Sources};

/// Most recipients of a mail.
const RECIPIENTS_MAX: usize = 20;

/// A secret with the setting that names it or its file.
struct Found {
    secret: Secret,
    setting: &'static Setting,
    place: Place,
}

/// A channel, or none if nothing of it is set.
type Channel = Result<Option<ChannelSettings>, Reported>;

impl Reader<'_> {
    /// Who is told, how and when.
    pub(in crate::settings) fn alerts(&mut self, sources: &Sources<'_>) -> Result<AlertSettings, Reported> {
        let after = self.set(&names::ALERT_AFTER, alert_values::alert_after);
        let flapping = self.one(&names::ALERT_FLAPPING, values::switch);
        let reminders = self.one(&names::ALERT_REMINDERS, values::switch);
        let quiet = self.set(&names::QUIET_HOURS, alert_values::quiet_hours);
        let templates = self.set(&names::ALERT_TEMPLATES, values::absolute_path);
        let ca_file = self.set(&names::ALERT_CA_FILE, values::absolute_path);
        let ping_url = self.secret(&names::PING_URL, &names::PING_URL_FILE, alert_values::url);
        let channels = self.channels(sources);
        let escalation = self.escalation(channels.as_deref().ok());
        let (escalate_after, escalate_to) = escalation?;
        Ok(AlertSettings {
            after: after?.map(|after| after.value),
            flapping: flapping?,
            reminders: reminders?,
            quiet: quiet?.map(|Sourced { value, .. }| QuietHours {
                from: value.from,
                to: value.to,
                zone: value.zone.unwrap_or_else(sources.zone),
            }),
            escalate_after,
            escalate_to,
            channels: channels?,
            templates: templates?.map(|path| path.value),
            ca_file: ca_file?.map(|path| path.value),
            ping_url: ping_url?.map(|found| found.secret),
        })
    }

    /// The channels that are set, in the order of [`ChannelName`].
    fn channels(&mut self, sources: &Sources<'_>) -> Result<Vec<ChannelSettings>, Reported> {
        // Every channel is read before the first fault ends the function.
        let channels = [
            self.mail(sources),
            self.webhook(),
            self.ntfy(),
            self.telegram(),
            self.secret(&names::SLACK_URL, &names::SLACK_URL_FILE, alert_values::url)
                .map(|found| found.map(|found| ChannelSettings::Slack { url: found.secret })),
            self.secret(&names::DISCORD_URL, &names::DISCORD_URL_FILE, alert_values::url)
                .map(|found| found.map(|found| ChannelSettings::Discord { url: found.secret })),
            self.pushover(),
            self.secret(&names::ALERTMANAGER_URL, &names::ALERTMANAGER_URL_FILE, alert_values::base_url)
                .map(|found| found.map(|found| ChannelSettings::Alertmanager { url: found.secret })),
            self.set(&names::ALERT_COMMAND, alert_values::any_text)
                .map(|line| line.map(|line| ChannelSettings::Command { line: line.value })),
        ];
        channels.into_iter().filter_map(Result::transpose).collect()
    }

    // --- Mail ---------------------------------------------------------------------------------------------------------

    /// The names without `IBGA_` belong to other programs as well, so that without a recipient nothing is made of them.
    fn mail(&mut self, sources: &Sources<'_>) -> Channel {
        let program = self.set(&names::SENDMAIL, values::absolute_path);
        let Some(given) = pick(self.layers, &names::ALERT_EMAIL).and_then(|entry| entry.items.first()) else {
            return match program? {
                None => Ok(None),
                Some(program) => Err(self.lacks(
                    &names::SENDMAIL,
                    &program.place,
                    "nobody would get its mails",
                    &[&names::ALERT_EMAIL],
                )),
            };
        };
        let to_place = given.place.clone();
        let to = self.recipients(&to_place);
        let host = self.set(&names::SMTP_HOST, values::host);
        let from = self.sender(sources);
        let (host, program) = match (host?, program?) {
            (Some(host), Some(program)) => {
                let fault = Fault::SetTwice { other: names::SMTP_HOST.environment, place: host.place.to_string() };
                self.problems.push(Problem::of_value(&names::SENDMAIL, program.place, fault));
                return Err(Reported);
            }
            (None, None) => {
                let ways = [&names::SMTP_HOST, &names::SENDMAIL];
                return Err(self.lacks(&names::ALERT_EMAIL, &to_place, "no way for mails is set", &ways));
            }
            ways => ways,
        };
        if let Some(program) = program {
            return Ok(Some(ChannelSettings::Sendmail { program: program.value, from: from?, to: to? }));
        }
        host.map(|host| self.smtp(&host.value, from, to)).transpose()
    }

    fn smtp(
        &mut self,
        host: &Host,
        from: Result<String, Reported>,
        to: Result<Vec<String>, Reported>,
    ) -> Result<ChannelSettings, Reported> {
        let login = self.login();
        let port = self.set(&names::SMTP_PORT, values::port);
        let security = self.sourced(&names::SMTP_SECURITY, alert_values::smtp_security);
        let (port, security, login) = (port?, security?, login?);
        if security.value == SmtpSecurity::None && login.is_some() && !host.is_loopback() {
            self.problems.push(Problem::of_value(&names::SMTP_SECURITY, security.place, Fault::PasswordReadable));
            return Err(Reported);
        }
        let usual_port = match security.value {
            SmtpSecurity::StartTls => 587,
            SmtpSecurity::Tls => 465,
            SmtpSecurity::None => 25,
        };
        Ok(ChannelSettings::Email(Smtp {
            host: host.as_str().to_owned(),
            port: port.map_or(usual_port, |port| port.value),
            security: security.value,
            login,
            from: from?,
            to: to?,
        }))
    }

    fn recipients(&mut self, place: &Place) -> Result<Vec<String>, Reported> {
        let to = self.many(&names::ALERT_EMAIL, alert_values::address)?;
        if to.len() > RECIPIENTS_MAX {
            let fault = Fault::TooManyRecipients { max: RECIPIENTS_MAX };
            self.problems.push(Problem::of_value(&names::ALERT_EMAIL, place.clone(), fault));
            return Err(Reported);
        }
        Ok(to)
    }

    fn login(&mut self) -> Result<Option<(Secret, Secret)>, Reported> {
        let user = self.secret(&names::SMTP_USER, &names::SMTP_USER_FILE, alert_values::any_text);
        let password = self.secret(&names::SMTP_PASS, &names::SMTP_PASS_FILE, alert_values::any_text);
        let passwords = [&names::SMTP_PASS, &names::SMTP_PASS_FILE];
        let users = [&names::SMTP_USER, &names::SMTP_USER_FILE];
        self.both(user, password, ("no password goes with it", &passwords), ("no user goes with it", &users))
    }

    fn sender(&mut self, sources: &Sources<'_>) -> Result<String, Reported> {
        if let Some(from) = self.set(&names::SMTP_FROM, alert_values::address)? {
            return Ok(from.value);
        }
        // The strongest word on the user, unless it names a file.
        let is_told = |layer: &&&Layer| {
            [&names::SMTP_USER, &names::SMTP_USER_FILE].iter().any(|one| pick(&[**layer], one).is_some())
        };
        let strongest = self.layers.iter().find(is_told);
        let user = strongest.and_then(|layer| pick(&[*layer], &names::SMTP_USER)?.items.first());
        let user = user.and_then(|given| values::read(&given.text, alert_values::address).ok());
        // A machine may have a name that no mail can come from.
        let machine = || alert_values::address(&format!("ibga@{}", (sources.host_name)()));
        Ok(user.or_else(|| machine().ok()).unwrap_or_else(|| "ibga@localhost".to_owned()))
    }

    // --- The other channels -------------------------------------------------------------------------------------------

    fn webhook(&mut self) -> Channel {
        let url = self.secret(&names::WEBHOOK_URL, &names::WEBHOOK_URL_FILE, alert_values::url);
        let secret = self.secret(&names::WEBHOOK_SECRET, &names::WEBHOOK_SECRET_FILE, alert_values::any_text);
        let urls = [&names::WEBHOOK_URL, &names::WEBHOOK_URL_FILE];
        let found = self.with_optional(url, secret, "no URL goes with it", &urls)?;
        Ok(found.map(|(url, secret)| ChannelSettings::Webhook { url, secret }))
    }

    fn ntfy(&mut self) -> Channel {
        let url = self.secret(&names::NTFY_URL, &names::NTFY_URL_FILE, alert_values::topic_url);
        let token = self.secret(&names::NTFY_TOKEN, &names::NTFY_TOKEN_FILE, alert_values::token);
        let urls = [&names::NTFY_URL, &names::NTFY_URL_FILE];
        let found = self.with_optional(url, token, "no topic goes with it", &urls)?;
        Ok(found.map(|(url, token)| ChannelSettings::Ntfy { url, token }))
    }

    fn telegram(&mut self) -> Channel {
        let token = self.secret(&names::TELEGRAM_TOKEN, &names::TELEGRAM_TOKEN_FILE, alert_values::token);
        let chat = self.set(&names::TELEGRAM_CHAT, alert_values::chat);
        let api = self.one(&names::TELEGRAM_API, alert_values::server_url);
        match (token?, chat?) {
            (None, None) => api.map(|_| None),
            (Some(token), Some(chat)) => {
                Ok(Some(ChannelSettings::Telegram { api: api?, token: token.secret, chat: chat.value }))
            }
            (Some(token), None) => {
                Err(self.lacks(token.setting, &token.place, "no chat goes with it", &[&names::TELEGRAM_CHAT]))
            }
            (None, Some(chat)) => {
                let tokens = [&names::TELEGRAM_TOKEN, &names::TELEGRAM_TOKEN_FILE];
                Err(self.lacks(&names::TELEGRAM_CHAT, &chat.place, "no bot goes with it", &tokens))
            }
        }
    }

    fn pushover(&mut self) -> Channel {
        let token = self.secret(&names::PUSHOVER_TOKEN, &names::PUSHOVER_TOKEN_FILE, alert_values::token);
        let user = self.secret(&names::PUSHOVER_USER, &names::PUSHOVER_USER_FILE, alert_values::token);
        let api = self.one(&names::PUSHOVER_API, alert_values::server_url);
        let users = [&names::PUSHOVER_USER, &names::PUSHOVER_USER_FILE];
        let tokens = [&names::PUSHOVER_TOKEN, &names::PUSHOVER_TOKEN_FILE];
        let pair = self.both(token, user, ("no user goes with it", &users), ("no application goes with it", &tokens));
        let (pair, api) = (pair?, api?);
        Ok(pair.map(|(token, user)| ChannelSettings::Pushover { api, token, user }))
    }

    // --- Whom to call when nobody answers -----------------------------------------------------------------------------

    fn escalation(
        &mut self,
        channels: Option<&[ChannelSettings]>,
    ) -> Result<(Option<Duration>, Vec<ChannelName>), Reported> {
        let after = self.set(&names::ESCALATE_AFTER, alert_values::escalate_after);
        let to = self.many(&names::ESCALATE_TO, alert_values::channel);
        let given = pick(self.layers, &names::ESCALATE_TO).map_or(&[][..], |entry| &entry.items);
        match (after?, to?, given.first()) {
            (None, _, None) => Ok((None, Vec::new())),
            (Some(after), _, None) => {
                let needed = [&names::ESCALATE_TO];
                Err(self.lacks(&names::ESCALATE_AFTER, &after.place, "it does not say who is told then", &needed))
            }
            (None, _, Some(first)) => {
                let needed = [&names::ESCALATE_AFTER];
                Err(self.lacks(&names::ESCALATE_TO, &first.place, "it does not say when they are told", &needed))
            }
            (Some(after), to, Some(first)) => {
                if let Some(channels) = channels {
                    self.second_audience(channels, &to, &first.place)?;
                }
                Ok((Some(after.value), to))
            }
        }
    }

    /// Whether everybody in it can be told, and somebody is told before.
    fn second_audience(
        &mut self,
        channels: &[ChannelSettings],
        to: &[ChannelName],
        place: &Place,
    ) -> Result<(), Reported> {
        let configured: Vec<ChannelName> = channels.iter().map(ChannelSettings::name).collect();
        let words: Vec<&str> = configured.iter().map(|name| name.as_str()).collect();
        let hint = if words.is_empty() { "no channel is".to_owned() } else { format!("there is {}", words.join(", ")) };
        let before = self.problems.len();
        for name in to.iter().filter(|name| !configured.contains(name)) {
            let fault = Fault::ChannelNotConfigured { name: name.as_str(), hint: hint.clone() };
            self.problems.push(Problem::of_value(
                &names::ESCALATE_TO,
                self.place_of(*name).unwrap_or(place).clone(),
                fault,
            ));
        }
        if self.problems.len() == before && configured.iter().all(|name| to.contains(name)) {
            self.problems.push(Problem::of_value(&names::ESCALATE_TO, place.clone(), Fault::NobodyFirst));
        }
        if self.problems.len() == before { Ok(()) } else { Err(Reported) }
    }

    /// Where the channel stands in the list.
    fn place_of(&self, name: ChannelName) -> Option<&Place> {
        let items = &pick(self.layers, &names::ESCALATE_TO)?.items;
        let is_named = |text: &str| values::read(text, alert_values::channel) == Ok(name);
        items.iter().find(|given| is_named(&given.text)).map(|given| &given.place)
    }

    // --- Secrets, and what goes with them -----------------------------------------------------------------------------

    /// The secret, as a text or as a file, from the strongest source that says either. One source cannot say both.
    fn secret(
        &mut self,
        text: &'static Setting,
        file: &'static Setting,
        parse: Parse<String>,
    ) -> Result<Option<Found>, Reported> {
        let layers = self.layers;
        for layer in layers {
            let first = |setting| pick(&[*layer], setting).and_then(|entry: &Entry| entry.items.first());
            let (given, place) = match (first(text), first(file)) {
                (None, None) => continue,
                (Some(given), Some(in_file)) => {
                    let fault = Fault::SetTwice { other: text.environment, place: given.place.to_string() };
                    self.problems.push(Problem::of_value(file, in_file.place.clone(), fault));
                    return Err(Reported);
                }
                (Some(given), None) => (given, given.place.clone()),
                (None, Some(given)) => {
                    let path = self.parsed(file, &given.text, given.place.clone(), values::absolute_path)?;
                    return Ok(Some(Found { secret: Secret::File(path.value), setting: file, place: path.place }));
                }
            };
            let read = self.parsed(text, &given.text, place, parse)?;
            let value = if text.kind == Kind::Verbatim { given.text.clone() } else { read.value };
            return Ok(Some(Found { secret: Secret::Text(value), setting: text, place: read.place }));
        }
        Ok(None)
    }

    /// Two secrets, each of which is of no use without the other. What is said where one is missing stands beside it.
    fn both(
        &mut self,
        one: Result<Option<Found>, Reported>,
        other: Result<Option<Found>, Reported>,
        no_other: (&'static str, &[&'static Setting]),
        no_one: (&'static str, &[&'static Setting]),
    ) -> Result<Option<(Secret, Secret)>, Reported> {
        match (one?, other?) {
            (None, None) => Ok(None),
            (Some(one), Some(other)) => Ok(Some((one.secret, other.secret))),
            (Some(one), None) => Err(self.lacks(one.setting, &one.place, no_other.0, no_other.1)),
            (None, Some(other)) => Err(self.lacks(other.setting, &other.place, no_one.0, no_one.1)),
        }
    }

    /// A secret that is enough, and another that is of no use without it.
    fn with_optional(
        &mut self,
        enough: Result<Option<Found>, Reported>,
        optional: Result<Option<Found>, Reported>,
        lacks: &'static str,
        needed: &[&'static Setting],
    ) -> Result<Option<(Secret, Option<Secret>)>, Reported> {
        match (enough?, optional?) {
            (None, None) => Ok(None),
            (Some(enough), optional) => Ok(Some((enough.secret, optional.map(|found| found.secret)))),
            (None, Some(found)) => Err(self.lacks(found.setting, &found.place, lacks, needed)),
        }
    }

    /// Reports that a setting is of no use without one of others, which are named as the place of the setting names them.
    fn lacks(
        &mut self,
        setting: &Setting,
        place: &Place,
        lacks: &'static str,
        needed: &[&'static Setting],
    ) -> Reported {
        let in_config = place.origin() == Origin::Config;
        let name = |setting: &&'static Setting| match setting.toml_key() {
            Some(key) if in_config => key,
            _ => setting.environment,
        };
        let needed = needed.iter().map(name).collect::<Vec<_>>().join(" or ");
        self.problems.push(Problem::of_value(setting, place.clone(), Fault::Incomplete { lacks, needed }));
        Reported
    }
}
