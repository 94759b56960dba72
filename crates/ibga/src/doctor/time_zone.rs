//! This machine's time zone. Everything inside goes by instants, but cron goes by this zone, and so does a person.

use ibga_core::calendar::Calendar;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

use super::{Circumstances, Finding, Subject};
use crate::settings::Settings;

/// How far ahead is looked for a day on which the two zones drift apart.
const DAYS_AHEAD: i64 = 365;

pub(super) fn examine(settings: &Settings, at: &Circumstances) -> Finding {
    let first = settings.market.value.exchanges.first().map(|exchange| Calendar::for_exchange(*exchange));
    match first.as_ref().and_then(|calendar| Some((calendar.exchange(), calendar.zone()?))) {
        Some((exchange, zone)) => judge(at.zone.as_ref(), exchange.mic(), zone, at.now),
        None => Finding::not_tested(Subject::TimeZone, "no exchange with a zone is named"),
    }
}

fn judge(host: Result<&TimeZone, &String>, mic: &str, exchange: &TimeZone, now: Timestamp) -> Finding {
    let subject = Subject::TimeZone;
    let host = match host {
        Ok(host) => host,
        Err(fault) => {
            return Finding::faulty(
                subject,
                format!("this machine's zone is not known, so local times are told in UTC ({fault})"),
                "set it: `timedatectl set-timezone Asia/Hong_Kong`, or the variable TZ to such a name",
            );
        }
    };
    let name = host.iana_name().unwrap_or("a zone without a name");
    let apart = |instant: Timestamp| exchange.to_offset(instant).seconds() - host.to_offset(instant).seconds();
    if apart(now) == 0 && drift(now, &apart).is_none() {
        return Finding::good(subject, format!("{name}, the same time as {mic}"));
    }
    let noon = exchange.to_ambiguous_timestamp(now.to_zoned(exchange.clone()).date().at(12, 0, 0, 0)).compatible();
    let here = noon.map(|noon| noon.to_zoned(host.clone()).strftime("%H:%M").to_string());
    let text = format!("{name}; 12:00 of {mic} is {} here", here.unwrap_or_else(|_| "not told".into()));
    match drift(now, &apart) {
        None => Finding::good(subject, text),
        Some(date) => Finding::doubtful(
            subject,
            format!("{text}, and that shifts on {date}"),
            "hours that were written by hand have to be mended on that day; `ibga schedule crontab` and `systemd` write \
             some that follow",
        ),
    }
}

/// The first date on which the zones are not as far apart as they are now.
fn drift(now: Timestamp, apart: &impl Fn(Timestamp) -> i32) -> Option<Date> {
    let days = (1..=DAYS_AHEAD).filter_map(|day| now.checked_add((24 * day).hours()).ok());
    let mut shifted = days.skip_while(|instant| apart(*instant) == apart(now));
    shifted.next().map(|instant| instant.to_zoned(TimeZone::UTC).date())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_against_an_exchange() {
        let hong_kong = TimeZone::get("Asia/Hong_Kong").expect("a zone");
        let now: Timestamp = "2026-11-24T10:00:00Z".parse().expect("an instant");
        for (host, outcome, word) in [
            ("Asia/Hong_Kong", "ok", "Asia/Hong_Kong, the same time as XHKG"),
            ("Asia/Singapore", "ok", "Asia/Singapore, the same time as XHKG"),
            ("UTC", "ok", "12:00 of XHKG is 04:00 here"),
            ("America/New_York", "doubtful", "12:00 of XHKG is 23:00 here, and that shifts on 2027-03-14"),
            ("Europe/London", "doubtful", "12:00 of XHKG is 04:00 here, and that shifts on 2027-03-28"),
        ] {
            let host = TimeZone::get(host).expect("a zone");
            let finding = judge(Ok(&host), "XHKG", &hong_kong, now);
            assert_eq!(finding.outcome.code(), outcome, "{finding:?}");
            assert!(finding.text.contains(word), "{finding:?}");
        }
        let unknown = judge(Err(&"no such zone".into()), "XHKG", &hong_kong, now);
        assert!(unknown.is_fault() && unknown.text.contains("no such zone"), "{unknown:?}");
    }
}
