//! The forecast: when IBKR will next end the session by itself, whether that falls before the next trading session, and when a
//! person should approve a login. Pure: a market, IBKR's resets and a time give what is ahead; what was seen of the login gives
//! when to approve. It explains and advises; nothing decides by it.
//!
//! | file | about |
//! |---|---|
//! | `words.rs` | the forecast in words for a person |

#[cfg(test)]
mod tests;
mod words;

use jiff::{SignedDuration, Timestamp, ToSpan};
use serde::{Deserialize, Serialize};

use crate::alert::Trading;
use crate::calendar::{Combination, Exchange, Market, MarketState};
use crate::cause::Cause;
use crate::reset_windows::{self, DailyReset, Length};

/// How long a forecast is taken over: corrections of the calendar and of the settings show after that at the latest.
pub const HOLDS_FOR: SignedDuration = SignedDuration::from_hours(1);

/// Gateways restart each day. One that is ready this long after the weekly end has been approved since.
const RESTARTS_WITHIN: SignedDuration = SignedDuration::from_hours(24);

/// Most regions that are told.
pub(crate) const REGIONS_MAX: usize = 16;

/// Most characters of a region or of the exchanges' names.
pub(crate) const TEXT_CHARS_MAX: usize = 100;

/// What is ahead. Every instant but the beginning of a window that is on, and but the last end of the weekly login, lies after
/// `made_at`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Forecast {
    /// When it was made.
    pub made_at: Timestamp,
    /// Whose trading sessions it goes by.
    pub trading_at: TradingAt,
    /// Whether the market is open.
    pub trading: Trading,
    /// When trading begins next, after a lunch too; none if it is not known.
    pub next_open: Option<Timestamp>,
    /// When it ends, if it is on.
    pub next_close: Option<Timestamp>,
    /// The next daily reset of each region, or the one that is on, in the order of time. With several regions it is not known
    /// which one serves the account.
    pub nightly: Vec<Reset>,
    /// The next weekend maintenance, or the one that is on. It concerns all regions.
    pub weekend: Reset,
    /// The end of the weekly login.
    pub token: TokenEnd,
    /// When a person should approve.
    pub approval: Approval,
}

/// The exchanges by which a forecast goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TradingAt {
    /// The exchanges, with commas between.
    pub exchange: String,
    /// How several are judged together; none for one.
    pub rule: Option<Combination>,
}

/// A window in which IBKR resets servers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reset {
    /// Which servers.
    pub region: String,
    /// When it begins; before the forecast was made if it is on.
    pub starts: Timestamp,
    /// When it ends.
    pub ends: Timestamp,
    /// Where it lies between the trading sessions.
    pub falls: Falls,
}

/// The end of the weekly login.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenEnd {
    /// The last one before the forecast was made.
    pub last: Timestamp,
    /// The next one. The first restart after it needs an approval.
    pub ends: Timestamp,
    /// Where it lies between the trading sessions.
    pub falls: Falls,
    /// When trading begins next after it; none if that is not known.
    pub next_open: Option<Timestamp>,
}

/// Where something lies between the trading sessions, as seen from the moment of the forecast.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Falls {
    /// Before trading begins next.
    BeforeOpen,
    /// While there is trading, at least in part.
    InTrading,
    /// Outside trading, but there is trading before it.
    AfterOpen,
    /// The calendar does not tell.
    Unknown,
}

/// When a person should approve a login.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval {
    /// On what occasion.
    pub when: When,
    /// Not before; none for at once.
    pub from: Option<Timestamp>,
    /// By when, so that trading is not missed; none if that is at once or not known.
    pub until: Option<Timestamp>,
}

/// The occasion of an approval.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum When {
    /// Nobody is logged in.
    Now,
    /// The gateway has been ready since before the last weekly end, so that its next restart asks, unless somebody approved and
    /// nobody saw it restart.
    AtRestart,
    /// At the first login after the next weekly end.
    AfterTokenEnd,
}

impl TradingAt {
    /// The exchanges with these codes, under this rule.
    pub fn of<'a>(codes: impl IntoIterator<Item = &'a str>, combination: Combination) -> Self {
        let codes: Vec<&str> = codes.into_iter().collect();
        Self { exchange: shortened(&codes.join(",")), rule: (codes.len() > 1).then_some(combination) }
    }
}

impl Falls {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::BeforeOpen, Self::InTrading, Self::AfterOpen, Self::Unknown];

    /// The stable code.
    pub fn code(self) -> &'static str {
        match self {
            Self::BeforeOpen => "before_open",
            Self::InTrading => "in_trading",
            Self::AfterOpen => "after_open",
            Self::Unknown => "unknown",
        }
    }
}

impl When {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Now, Self::AtRestart, Self::AfterTokenEnd];

    /// The stable code.
    pub fn code(self) -> &'static str {
        match self {
            Self::Now => "now",
            Self::AtRestart => "at_restart",
            Self::AfterTokenEnd => "after_token_end",
        }
    }
}

impl Reset {
    /// Whether it is on.
    pub fn is_on(&self, now: Timestamp) -> bool {
        self.starts <= now && now < self.ends
    }
}

impl Forecast {
    /// What is ahead, while nothing is known of the login. `None` only at the ends of time.
    pub fn new(market: &Market, daily: &[DailyReset], now: Timestamp) -> Option<Self> {
        let sessions = Sessions::around(market, now);
        let (nightly, weekend) = resets(&sessions, daily)?;
        let token = token_end(&sessions)?;
        let codes: Vec<&str> = market.exchanges().map(Exchange::mic).collect();
        Some(Self {
            made_at: now,
            trading_at: TradingAt::of(codes, market.combination()),
            trading: sessions.trading,
            next_open: sessions.next_open,
            next_close: sessions.next_close,
            nightly,
            weekend,
            approval: token.approval(),
            token,
        })
    }

    /// The same, with what a report tells of the login: its cause, and since when.
    #[must_use]
    pub fn about(mut self, cause: Cause, since: Timestamp, now: Timestamp) -> Self {
        self.approval = self.approval_of(cause, since, now);
        self
    }

    /// The weekly end because of which the next restart asks for an approval; none if it does not.
    pub fn asks_at_restart(&self) -> Option<Timestamp> {
        (self.approval.when == When::AtRestart).then_some(self.token.last)
    }

    /// The same for a gateway that has stayed logged in since its next restart was told to ask, because of this weekly end: a link
    /// that comes and goes approves nothing.
    #[must_use]
    pub fn still_asking(mut self, because_of: Timestamp, now: Timestamp) -> Self {
        let last = self.token.last;
        let asks = because_of == last && now.duration_since(last) < RESTARTS_WITHIN;
        if asks && self.approval.when == When::AfterTokenEnd {
            self.approval = self.at_restart();
        }
        self
    }

    fn at_restart(&self) -> Approval {
        Approval { when: When::AtRestart, from: None, until: self.no_later_than() }
    }

    /// While trading is on there is no time left.
    fn no_later_than(&self) -> Option<Timestamp> {
        self.next_open.filter(|_| self.trading == Trading::Off)
    }

    fn approval_of(&self, cause: Cause, since: Timestamp, now: Timestamp) -> Approval {
        if cause.asks_for_approval() {
            // Nobody can log in while all servers may be down.
            let from = self.weekend.is_on(now).then_some(self.weekend.ends);
            return Approval { when: When::Now, from, until: self.no_later_than() };
        }
        let last = self.token.last;
        if cause == Cause::Ready && since < last && now.duration_since(last) < RESTARTS_WITHIN {
            return self.at_restart();
        }
        self.token.approval()
    }

    /// The instants at which it has to be made anew, in no order.
    fn edges(&self) -> impl Iterator<Item = Timestamp> {
        let windows = self.nightly.iter().chain([&self.weekend]).flat_map(|window| [window.starts, window.ends]);
        let others = [self.next_open, self.next_close, Some(self.token.ends)].into_iter().flatten();
        windows.chain(others).filter(|edge| *edge > self.made_at)
    }

    /// The first instant at which something comes true of what it tells.
    pub fn first_edge(&self) -> Timestamp {
        self.edges().min().unwrap_or(self.made_at)
    }

    /// Whether nothing has come true yet of what it tells.
    pub fn is_ahead(&self, now: Timestamp) -> bool {
        self.made_at <= now && now < self.first_edge()
    }

    /// Whether it need not be made anew: nothing has come true yet, and it is young.
    pub fn holds(&self, now: Timestamp) -> bool {
        self.is_ahead(now) && now.duration_since(self.made_at) < HOLDS_FOR
    }

    /// Whether an approval is needed before trading begins next.
    pub fn asks_before_open(&self) -> bool {
        match self.approval.when {
            When::Now | When::AtRestart => self.approval.until.is_some(),
            When::AfterTokenEnd => self.token.falls == Falls::BeforeOpen,
        }
    }

    /// The region that serves the account, where that is known.
    pub fn region(&self) -> Option<&str> {
        match self.nightly.as_slice() {
            [only] => Some(&only.region),
            _ => None,
        }
    }
}

impl TokenEnd {
    fn approval(&self) -> Approval {
        Approval { when: When::AfterTokenEnd, from: Some(self.ends), until: self.next_open }
    }
}

/// The trading sessions as seen from one moment.
struct Sessions<'a> {
    market: &'a Market,
    now: Timestamp,
    trading: Trading,
    next_open: Option<Timestamp>,
    next_close: Option<Timestamp>,
}

impl<'a> Sessions<'a> {
    fn around(market: &'a Market, now: Timestamp) -> Self {
        let moment = market.at(now);
        let (trading, next_open) = match moment.state {
            MarketState::Open => (Trading::On, moment.next_close.and_then(|close| market.at(close).next_open)),
            MarketState::Closed => (Trading::Off, moment.next_open),
            MarketState::Unknown => (Trading::Unknown, moment.next_open),
        };
        Self { market, now, trading, next_open, next_close: moment.next_close }
    }

    /// Where a span lies.
    fn falls(&self, starts: Timestamp, ends: Timestamp) -> Falls {
        let then = self.market.at(starts.max(self.now));
        match (then.state, then.next_open) {
            _ if self.trading == Trading::Unknown => Falls::Unknown,
            (MarketState::Unknown, _) => Falls::Unknown,
            (MarketState::Open, _) => Falls::InTrading,
            (MarketState::Closed, Some(open)) if open < ends => Falls::InTrading,
            // Where no open is known the days up to there are known to be without one.
            (MarketState::Closed, _) if self.next_open.is_none_or(|open| starts < open) => Falls::BeforeOpen,
            (MarketState::Closed, _) => Falls::AfterOpen,
        }
    }
}

/// Every daily reset and every weekend comes back within this time.
fn week() -> jiff::Span {
    (8 * 24).hours()
}

/// The next daily reset of each region, and the next weekend.
fn resets(sessions: &Sessions<'_>, daily: &[DailyReset]) -> Option<(Vec<Reset>, Reset)> {
    let now = sessions.now;
    // No window is longer than a day.
    let (from, until) = (now.checked_sub(24.hours()).ok()?, now.checked_add(week()).ok()?);
    let mut windows = reset_windows::resets_between(daily, from, until);
    windows.retain(|window| window.ends > now);
    windows.sort_by(|one, other| (one.starts, &one.region).cmp(&(other.starts, &other.region)));
    let reset = |window: &reset_windows::ResetWindow| Reset {
        region: shortened(&window.region),
        starts: window.starts,
        ends: window.ends,
        falls: sessions.falls(window.starts, window.ends),
    };
    let weekend = windows.iter().find(|window| window.length == Length::Hours).map(reset)?;
    let mut nightly: Vec<Reset> = Vec::new();
    for window in windows.iter().filter(|window| window.length == Length::Moments) {
        let region = shortened(&window.region);
        if nightly.len() < REGIONS_MAX && nightly.iter().all(|known| known.region != region) {
            nightly.push(reset(window));
        }
    }
    Some((nightly, weekend))
}

fn token_end(sessions: &Sessions<'_>) -> Option<TokenEnd> {
    let now = sessions.now;
    let (from, until) = (now.checked_sub(week()).ok()?, now.checked_add(week()).ok()?);
    let all = reset_windows::token_ends_between(from, until);
    let last = all.iter().copied().rfind(|end| *end <= now)?;
    let ends = all.iter().copied().find(|end| *end > now)?;
    let then = sessions.market.at(ends);
    Some(TokenEnd { last, ends, falls: sessions.falls(ends, ends), next_open: then.next_open })
}

fn shortened(text: &str) -> String {
    text.chars().take(TEXT_CHARS_MAX).collect()
}
