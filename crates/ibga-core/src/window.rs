//! Windows of an exchange's wall clock in which a scheduled job may start. Schedulers go by zones of their own and know no
//! holidays; a job that carries its window starts nothing at any other time.
//!
//! Pure; it must never keep a job back for want of knowledge: where the calendar knows nothing, the job goes on to its own
//! judgement, which is louder.

use std::fmt;
use std::str::FromStr;

use jiff::civil::{Time, Weekday};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use crate::calendar::{Calendar, Market, MarketMoment, MarketState, Phase};
use crate::gate::market_text;

/// The end of a day, as the end of a window: `24:00`.
const MIDNIGHT_AFTER: Time = Time::MAX;

/// On which days a window is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Days {
    /// Days with a trading session that lasts beyond the window's start.
    Trading,
    /// This day of every week, whatever the exchange does.
    Weekly(Weekday),
    /// Every day.
    Daily,
}

/// A span of an exchange's wall clock, start inclusive, end exclusive, within one day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Window {
    days: Days,
    start: Time,
    end: Time,
}

/// The text is no window.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WindowError {
    /// It is not of the form.
    #[error(
        "not a window; write HH:MM-HH:MM for trading days, or a day before it, as in `sun 17:00-17:15` or `daily 08:00-08:10`"
    )]
    Form,
    /// It ends before it starts, or when it starts.
    #[error("the window ends at {end}, which is not after its start; one window cannot pass midnight")]
    Backwards {
        /// Its end.
        end: String,
    },
}

/// Why a job does not start.
#[derive(Clone, Debug)]
pub enum Missed {
    /// The clock stands outside, or it is another day of the week.
    OtherTime,
    /// There is no trading that day from the window's start on.
    Closed(Box<MarketMoment>),
}

impl Window {
    /// A window on these days; `None` if it does not end after its start.
    pub fn new(days: Days, start: Time, end: Time) -> Option<Self> {
        (start < end).then_some(Self { days, start, end })
    }

    /// A window of this length, or to the end of the day.
    pub fn lasting(days: Days, start: Time, length: SignedDuration) -> Self {
        Self { days, start, end: start.checked_add(length).unwrap_or(MIDNIGHT_AFTER) }
    }

    /// The same span on every day, for those who pass over market hours.
    #[must_use]
    pub fn whatever_the_market(&self) -> Self {
        match self.days {
            Days::Trading => Self { days: Days::Daily, ..*self },
            Days::Weekly(_) | Days::Daily => *self,
        }
    }

    /// Whether a job may start at this instant, by the wall clock of the market's first exchange.
    pub fn admits(&self, instant: Timestamp, market: &Market) -> Result<(), Missed> {
        let Some(zone) = market.first().and_then(Calendar::zone) else { return Ok(()) };
        let local = zone.to_datetime(instant);
        if let Days::Weekly(weekday) = self.days
            && local.date().weekday() != weekday
        {
            return Err(Missed::OtherTime);
        }
        if local.time() < self.start || local.time() >= self.end {
            return Err(Missed::OtherTime);
        }
        if self.days != Days::Trading {
            return Ok(());
        }
        match zone.to_timestamp(local.date().to_datetime(self.start)) {
            Ok(start) => trades_from(start, zone, market).map_err(|moment| Missed::Closed(Box::new(moment))),
            // A clock that skips the start on this day says nothing about trading.
            Err(_) => Ok(()),
        }
    }
}

/// Whether the market trades at this instant or later on the same local date; if not, the moment that says so. What is not known
/// counts as trading: whoever goes on will be told.
pub(crate) fn trades_from(instant: Timestamp, zone: &TimeZone, market: &Market) -> Result<(), MarketMoment> {
    let date = zone.to_datetime(instant).date();
    let is_today = |edge: Option<Timestamp>| edge.is_some_and(|edge| zone.to_datetime(edge).date() == date);
    let moment = market.at(instant);
    if moment.state != MarketState::Closed || is_today(moment.next_open) {
        return Ok(());
    }
    let (unknown, known): (Vec<_>, Vec<_>) =
        moment.members.iter().partition(|member| member.moment.phase == Phase::Unknown);
    let may_trade = known.iter().all(|member| member.is_open() || is_today(member.moment.next_open));
    if !unknown.is_empty() && may_trade { Ok(()) } else { Err(moment) }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.days {
            Days::Trading => {}
            Days::Daily => f.write_str("daily ")?,
            Days::Weekly(weekday) => write!(f, "{} ", weekday_name(weekday))?,
        }
        let end = if self.end == MIDNIGHT_AFTER { "24:00".into() } else { wall(self.end) };
        write!(f, "{}-{end}", wall(self.start))
    }
}

impl FromStr for Window {
    type Err = WindowError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let words: Vec<&str> = text.split_whitespace().collect();
        let (days, span) = match words.as_slice() {
            [span] => (Days::Trading, span),
            [day, span] => (days(day).ok_or(WindowError::Form)?, span),
            _ => return Err(WindowError::Form),
        };
        let (start, end) = span.split_once('-').ok_or(WindowError::Form)?;
        let end = if end == "24:00" { Some(MIDNIGHT_AFTER) } else { parse_wall(end) };
        let (start, end) = parse_wall(start).zip(end).ok_or(WindowError::Form)?;
        Self::new(days, start, end).ok_or_else(|| WindowError::Backwards { end: wall(end) })
    }
}

/// Whether a job with these windows may start: if any of them admits it, or if there is none. Otherwise the sentence that says
/// which window was missed, and why.
pub fn admitted(windows: &[Window], instant: Timestamp, market: &Market) -> Result<(), String> {
    let missed: Vec<(&Window, Missed)> =
        windows.iter().filter_map(|window| Some((window, window.admits(instant, market).err()?))).collect();
    if windows.is_empty() || missed.len() < windows.len() {
        return Ok(());
    }
    // A window whose hour it is has more to say than one that lies elsewhere.
    let closed = missed.iter().find_map(|(window, why)| match why {
        Missed::Closed(moment) => Some(format!("window {window} missed: {}", market_text(moment))),
        Missed::OtherTime => None,
    });
    Err(closed.unwrap_or_else(|| {
        let listed: Vec<String> = windows.iter().map(ToString::to_string).collect();
        format!("window {} missed: it is {}", listed.join(" or "), local_text(instant, market))
    }))
}

/// `Mon 09:45 +08:00 at XHKG`.
fn local_text(instant: Timestamp, market: &Market) -> String {
    let local = market.first().and_then(|calendar| {
        let local = instant.to_zoned(calendar.zone()?.clone()).strftime("%a %H:%M %:z").to_string();
        Some(format!("{local} at {}", calendar.exchange()))
    });
    local.unwrap_or_else(|| instant.to_string())
}

/// A wall time as `HH:MM`.
pub fn wall(time: Time) -> String {
    time.strftime("%H:%M").to_string()
}

/// Reads a wall time of the form `HH:MM`.
pub fn parse_wall(text: &str) -> Option<Time> {
    let (hour, minute) = text.split_once(':')?;
    let two_digits = |part: &str| part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit());
    if !two_digits(hour) || !two_digits(minute) {
        return None;
    }
    Time::new(hour.parse().ok()?, minute.parse().ok()?, 0, 0).ok()
}

/// The three letters that schedulers know.
pub fn weekday_name(weekday: Weekday) -> &'static str {
    match weekday {
        Weekday::Monday => "mon",
        Weekday::Tuesday => "tue",
        Weekday::Wednesday => "wed",
        Weekday::Thursday => "thu",
        Weekday::Friday => "fri",
        Weekday::Saturday => "sat",
        Weekday::Sunday => "sun",
    }
}

fn days(word: &str) -> Option<Days> {
    let word = word.to_ascii_lowercase();
    if word == "daily" {
        return Some(Days::Daily);
    }
    let mut week = Weekday::Monday.cycle_forward().take(7);
    week.find(|weekday| weekday_name(*weekday) == word).map(Days::Weekly)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calendar::{Combination, Exchange};

    fn admitted_by(exchanges: &[Exchange], windows: &[&str], instant: &str) -> Result<(), String> {
        let windows: Vec<Window> = windows.iter().map(|text| text.parse().expect("a window")).collect();
        // As if no year after 2026 were known of Shanghai, whatever a later table knows.
        let calendars = exchanges.iter().map(|exchange| match *exchange {
            Exchange::XSHG => Calendar::ending_with(Exchange::XSHG, 2026),
            other => Calendar::for_exchange(other),
        });
        admitted(&windows, instant.parse().expect("an instant"), &Market::new(calendars.collect(), Combination::All))
    }

    fn admitted_at(windows: &[&str], instant: &str) -> Result<(), String> {
        admitted_by(&[Exchange::XHKG], windows, instant)
    }

    #[test]
    fn of_several_exchanges_all_have_to_trade() {
        for (window, instant, missed) in [
            ("09:30-09:45", "2026-11-23T09:30+08:00", None),
            // Shanghai's lunch begins before Hong Kong's; both trade again in the afternoon.
            ("11:45-11:55", "2026-11-23T11:45+08:00", None),
            (
                "09:30-09:45",
                "2026-10-05T09:30+08:00",
                Some(
                    "window 09:30-09:45 missed: XSHG is closed for a holiday (National Day (observed)), opens Thu 8 Oct \
                     09:30 +08:00; XSHG and XHKG are next open together Thu 8 Oct 09:30 +08:00",
                ),
            ),
            (
                "13:00-13:15",
                "2026-12-24T13:00+08:00",
                Some(
                    "window 13:00-13:15 missed: XHKG has closed early today (Eve of Christmas), opens Mon 28 Dec 09:30 \
                     +08:00; XSHG and XHKG are next open together Mon 28 Dec 09:30 +08:00",
                ),
            ),
            // Nothing is known of Shanghai in 2027: on a day on which Hong Kong trades the gate will say so, on others it need not.
            ("09:30-09:45", "2027-01-04T09:30+08:00", None),
            (
                "09:30-09:45",
                "2027-02-08T09:30+08:00",
                Some(
                    "window 09:30-09:45 missed: XSHG is not known for this date: the calendar does not reach it; update \
                     ibga; XHKG is closed for a holiday (Third day of Lunar New Year), opens Wed 10 Feb 09:30 +08:00; XSHG and \
                     XHKG are not open together as far as is known",
                ),
            ),
        ] {
            let admitted = admitted_by(&[Exchange::XSHG, Exchange::XHKG], &[window], instant);
            assert_eq!(admitted.err().as_deref(), missed, "{instant}");
        }
    }

    #[test]
    fn what_starts_and_what_does_not() {
        for (windows, instant, missed) in [
            // Monday, 2026-11-23.
            (&["09:30-09:45"][..], "2026-11-23T09:30+08:00", None),
            (&["09:30-09:45"], "2026-11-23T09:44:59+08:00", None),
            (
                &["09:30-09:45"],
                "2026-11-23T09:45+08:00",
                Some("window 09:30-09:45 missed: it is Mon 09:45 +08:00 at XHKG"),
            ),
            (
                &["09:30-09:45", "13:00-13:15"],
                "2026-11-23T12:59+08:00",
                Some("window 09:30-09:45 or 13:00-13:15 missed: it is Mon 12:59 +08:00 at XHKG"),
            ),
            (&["09:30-09:45", "13:00-13:15"], "2026-11-23T13:00+08:00", None),
            (&[], "2026-11-22T03:00+08:00", None),
            // A weekend, a holiday, a half day.
            (
                &["09:30-09:45"],
                "2026-11-22T09:30+08:00",
                Some("window 09:30-09:45 missed: XHKG is closed at the weekend, opens Mon 23 Nov 09:30 +08:00"),
            ),
            (
                &["09:30-09:45"],
                "2026-12-25T09:30+08:00",
                Some(
                    "window 09:30-09:45 missed: XHKG is closed for a holiday (Christmas Day), opens Mon 28 Dec 09:30 +08:00",
                ),
            ),
            (&["09:30-09:45"], "2026-12-24T09:30+08:00", None),
            (
                &["13:00-13:15"],
                "2026-12-24T13:00+08:00",
                Some(
                    "window 13:00-13:15 missed: XHKG has closed early today (Eve of Christmas), opens Mon 28 Dec 09:30 +08:00",
                ),
            ),
            // Other days.
            (&["sun 17:00-17:15"], "2026-11-22T17:00+08:00", None),
            (
                &["sun 17:00-17:15"],
                "2026-11-23T17:00+08:00",
                Some("window sun 17:00-17:15 missed: it is Mon 17:00 +08:00 at XHKG"),
            ),
            (&["daily 08:00-08:10"], "2026-12-25T08:05+08:00", None),
            // Past the calendar's end the job's own judgement is louder.
            (&["09:30-09:45"], "2031-01-06T09:30+08:00", None),
        ] {
            assert_eq!(admitted_at(windows, instant).err().as_deref(), missed, "{windows:?} {instant}");
        }
    }

    #[test]
    fn windows_read_back_and_others_are_refused() {
        for text in ["09:30-09:45", "sun 17:00-17:15", "daily 00:00-23:59", "23:59-24:00"] {
            assert_eq!(text.parse::<Window>().expect("a window").to_string(), text);
        }
        assert_eq!("SUN  17:00-17:15".parse::<Window>().expect("a window").to_string(), "sun 17:00-17:15");
        for text in ["", "09:30", "9:30-9:45", "24:00-24:00", "sunday 17:00-18:00", "sun mon 1:00-2:00", "+9:30-09:45"]
        {
            assert_eq!(text.parse::<Window>(), Err(WindowError::Form), "{text}");
        }
        for text in ["09:45-09:30", "09:30-09:30"] {
            assert!(matches!(text.parse::<Window>(), Err(WindowError::Backwards { .. })), "{text}");
        }
    }
}
