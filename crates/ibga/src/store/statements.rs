//! The statements of the store: each reads or writes one thing, inside the transaction of its caller.

use ibga_core::act::Act;
use ibga_core::alert::{Alert, Memory};
use ibga_core::cause::Cause;
use ibga_core::transition::State;
use jiff::{SignedDuration, Timestamp};
use rusqlite::{Connection, OptionalExtension, Transaction, params};

use super::{
    BACKOFF_MAX, Change, Delivery, DeliveryState, Holder, KEPT_AGE_MAX, KEPT_ROWS_MAX, LEASE, Listed, ListedDelivery,
    Outcome, Patience, Remembered, UNSENT_AGE_MAX, UNSENT_ATTEMPTS_MIN, UNSENT_ROWS_MAX, timestamp,
};
use crate::alert::channel::ChannelName;

/// What cannot be read, of another version perhaps, is as if it had never been: then what is wrong is told once more.
pub(super) fn remembered(connection: &Connection, gateway: &str) -> rusqlite::Result<Remembered> {
    let row = connection
        .query_row("SELECT memory, no_go, aside FROM gateway WHERE name = ?1", params![gateway], |row| {
            Ok((row.get::<_, Option<String>>(0)?, row.get::<_, Option<String>>(1)?, row.get(2)?))
        })
        .optional()?;
    let (memory, no_go, aside) = row.unwrap_or_default();
    Ok(Remembered {
        memory: memory.and_then(|text| serde_json::from_str(&text).ok()),
        no_go: no_go.and_then(|text| serde_json::from_str(&text).ok()),
        aside,
    })
}

pub(super) fn remember(transaction: &Transaction<'_>, gateway: &str, outcome: &Outcome) -> rusqlite::Result<()> {
    let memory = outcome.memory.as_ref().map(document).transpose()?;
    let no_go = outcome.no_go.as_ref().map(document).transpose()?;
    transaction.execute(
        "INSERT INTO gateway (name, memory, no_go, aside) VALUES (?1, ?2, ?3, ?4) ON CONFLICT (name) DO UPDATE
         SET memory = coalesce(excluded.memory, memory), no_go = coalesce(excluded.no_go, no_go),
             aside = coalesce(excluded.aside, aside)",
        params![gateway, memory, no_go, outcome.aside],
    )?;
    Ok(())
}

fn document(value: &impl serde::Serialize) -> rusqlite::Result<String> {
    serde_json::to_string(value).map_err(|fault| rusqlite::Error::ToSqlConversionFailure(Box::new(fault)))
}

pub(super) fn note_transition(
    transaction: &Transaction<'_>,
    gateway: &str,
    now: Timestamp,
    before: &Remembered,
    state: State,
    text: Option<&str>,
) -> rusqlite::Result<()> {
    let from = before.memory.as_ref().and_then(Memory::state);
    if from == Some(state) {
        return Ok(());
    }
    let code = |state: State| state.cause.map_or(state.status.as_str(), Cause::code);
    transaction.execute(
        "INSERT INTO transition (gateway, at, from_state, to_state, text) VALUES (?1, ?2, ?3, ?4, ?5)",
        params![gateway, now.as_microsecond(), from.map(code), code(state), text],
    )?;
    Ok(())
}

/// An alert that was there before stays as it is, with its deliveries.
pub(super) fn insert(
    transaction: &Transaction<'_>,
    alert: &Alert,
    channels: &[ChannelName],
    now: Timestamp,
) -> rusqlite::Result<()> {
    transaction.execute(
        "INSERT INTO alert (key, gateway, at, document) VALUES (?1, ?2, ?3, ?4) ON CONFLICT (key) DO NOTHING",
        params![alert.key, alert.gateway, alert.at.as_microsecond(), document(alert)?],
    )?;
    for channel in channels {
        transaction.execute(
            "INSERT INTO delivery (alert, channel, gateway, state, due_at)
             SELECT id, ?2, ?3, 'waiting', ?4 FROM alert WHERE key = ?1 ON CONFLICT DO NOTHING",
            params![alert.key, channel.as_str(), alert.gateway, now.as_microsecond()],
        )?;
    }
    Ok(())
}

pub(super) fn mark_sent_by_key(
    transaction: &Transaction<'_>,
    key: &str,
    channel: ChannelName,
    now: Timestamp,
) -> rusqlite::Result<()> {
    transaction.execute(
        "UPDATE delivery SET state = 'sent', attempts = attempts + 1, ended_at = ?3, answer = 'sent without the store'
         WHERE channel = ?2 AND state = 'waiting' AND alert = (SELECT id FROM alert WHERE key = ?1)",
        params![key, channel.as_str(), now.as_microsecond()],
    )?;
    Ok(())
}

/// An act that was there before stays as it is.
pub(super) fn note_act(transaction: &Transaction<'_>, act: &Act) -> rusqlite::Result<()> {
    transaction.execute(
        "INSERT INTO act (key, gateway, at, kind, by, text) VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (key) DO NOTHING",
        params![act.key(), act.gateway, act.at.as_microsecond(), act.kind.code(), act.by, act.text],
    )?;
    transaction.execute("DELETE FROM act WHERE id <= (SELECT max(id) FROM act) - ?1", params![KEPT_ROWS_MAX])?;
    Ok(())
}

/// How many acts of this one's kind and gateway there are after an instant. Those of the moment after it are another process's; what
/// lies further in the future was before the clock was set back, and is the caller's to count.
pub(super) fn count_acts(transaction: &Transaction<'_>, act: &Act, since: Timestamp) -> rusqlite::Result<i64> {
    let soon = act.at.saturating_add(SignedDuration::from_mins(1)).unwrap_or(act.at);
    transaction.query_row(
        "SELECT count(*) FROM act WHERE gateway IS ?1 AND kind = ?2 AND at > ?3 AND at < ?4",
        params![act.gateway, act.kind.code(), since.as_microsecond(), soon.as_microsecond()],
        |row| row.get(0),
    )
}

pub(super) fn last_ready(connection: &Connection, gateway: &str) -> rusqlite::Result<Option<Timestamp>> {
    let at: Option<i64> = connection.query_row(
        "SELECT max(at) FROM transition WHERE gateway = ?1 AND (from_state = ?2 OR to_state = ?2)",
        params![gateway, Cause::Ready.code()],
        |row| row.get(0),
    )?;
    Ok(at.map(timestamp))
}

pub(super) fn transitions(
    connection: &Connection,
    gateway: &str,
    since: Timestamp,
    rows_max: usize,
) -> rusqlite::Result<Vec<Change>> {
    let mut statement = connection.prepare(
        "SELECT at, from_state, to_state, text FROM transition
         WHERE gateway = ?1 AND id >= coalesce((SELECT max(id) FROM transition WHERE gateway = ?1 AND at < ?2), 0)
         ORDER BY id DESC LIMIT ?3",
    )?;
    let rows_max = i64::try_from(rows_max).unwrap_or(i64::MAX);
    let rows = statement.query_map(params![gateway, since.as_microsecond(), rows_max], |row| {
        Ok(Change { at: timestamp(row.get(0)?), from: row.get(1)?, to: row.get(2)?, text: row.get(3)? })
    })?;
    let mut changes = rows.collect::<rusqlite::Result<Vec<_>>>()?;
    changes.reverse();
    Ok(changes)
}

/// The newest acts that concern a gateway, the newest last; of all gateways without one.
pub(super) fn acts(connection: &Connection, gateway: Option<&str>, rows_max: usize) -> rusqlite::Result<Vec<Act>> {
    let mut statement = connection.prepare(
        "SELECT gateway, at, kind, by, text FROM act
         WHERE ?1 IS NULL OR gateway IS NULL OR gateway = ?1 ORDER BY id DESC LIMIT ?2",
    )?;
    let rows_max = i64::try_from(rows_max).unwrap_or(i64::MAX);
    let rows = statement.query_map(params![gateway, rows_max], |row| {
        Ok((row.get::<_, String>(2)?, row.get(0)?, row.get(1)?, row.get(3)?, row.get(4)?))
    })?;
    let mut acts = Vec::new();
    for row in rows {
        let (kind, gateway, at, by, text) = row?;
        // One of a later version is not understood here.
        let Ok(kind) = kind.parse() else { continue };
        acts.push(Act { gateway, at: timestamp(at), kind, by, text });
    }
    acts.reverse();
    Ok(acts)
}

/// Keeps the store within its bounds. Returns how many messages were given up.
pub(super) fn prune(
    transaction: &Transaction<'_>,
    gateway: &str,
    now: Timestamp,
    set: &[ChannelName],
) -> rusqlite::Result<usize> {
    let set = document(&set.iter().map(|name| name.as_str()).collect::<Vec<_>>())?;
    let before = |age| now.checked_sub(age).unwrap_or(Timestamp::UNIX_EPOCH).as_microsecond();
    let too_old = transaction.execute(
        "UPDATE delivery SET state = 'dropped', ended_at = ?2,
             answer = coalesce(answer || '; ', '') || 'given up after 7 days'
         WHERE gateway = ?1 AND state = 'waiting'
           AND (attempts >= ?4 OR channel NOT IN (SELECT value FROM json_each(?5)))
           AND alert IN (SELECT id FROM alert WHERE gateway = ?1 AND at < ?3)",
        params![gateway, now.as_microsecond(), before(UNSENT_AGE_MAX), UNSENT_ATTEMPTS_MIN, set],
    )?;
    let too_many = transaction.execute(
        "UPDATE delivery SET state = 'dropped', ended_at = ?2,
             answer = coalesce(answer || '; ', '') || 'given up: too many messages wait'
         WHERE gateway = ?1 AND state = 'waiting' AND (alert, channel) IN (
             SELECT alert, channel FROM (
                 SELECT alert, channel, row_number() OVER (PARTITION BY channel ORDER BY alert DESC) AS place
                 FROM delivery WHERE gateway = ?1 AND state = 'waiting') WHERE place > ?3)",
        params![gateway, now.as_microsecond(), UNSENT_ROWS_MAX],
    )?;
    transaction.execute(
        "DELETE FROM alert WHERE (at < ?1 OR id <= (SELECT max(id) FROM alert) - ?2)
           AND NOT EXISTS (SELECT 1 FROM delivery WHERE alert = alert.id AND state = 'waiting')",
        params![before(KEPT_AGE_MAX), KEPT_ROWS_MAX],
    )?;
    transaction
        .execute("DELETE FROM transition WHERE id <= (SELECT max(id) FROM transition) - ?1", params![KEPT_ROWS_MAX])?;
    Ok(too_old + too_many)
}

pub(super) fn is_held_by_another(
    transaction: &Transaction<'_>,
    gateway: &str,
    channel: ChannelName,
    holder: &Holder,
    uptime_ms: i64,
) -> rusqlite::Result<bool> {
    transaction.query_row(
        "SELECT EXISTS (SELECT 1 FROM lease WHERE gateway = ?1 AND channel = ?2 AND holder <> ?3 AND boot = ?4
                        AND until_ms > ?5)",
        params![gateway, channel.as_str(), holder.name, holder.boot, uptime_ms],
        |row| row.get(0),
    )
}

pub(super) fn hold(
    transaction: &Transaction<'_>,
    gateway: &str,
    channel: ChannelName,
    holder: &Holder,
    uptime_ms: i64,
) -> rusqlite::Result<()> {
    let until = uptime_ms.saturating_add(i64::try_from(LEASE.as_millis()).unwrap_or_default());
    transaction.execute(
        "INSERT OR REPLACE INTO lease (gateway, channel, holder, boot, until_ms) VALUES (?1, ?2, ?3, ?4, ?5)",
        params![gateway, channel.as_str(), holder.name, holder.boot, until],
    )?;
    Ok(())
}

pub(super) fn release(
    transaction: &Transaction<'_>,
    gateway: &str,
    channel: ChannelName,
    holder: &Holder,
) -> rusqlite::Result<()> {
    transaction.execute(
        "DELETE FROM lease WHERE gateway = ?1 AND channel = ?2 AND holder = ?3 AND boot = ?4",
        params![gateway, channel.as_str(), holder.name, holder.boot],
    )?;
    Ok(())
}

pub(super) fn next_due(
    transaction: &Transaction<'_>,
    gateway: &str,
    channel: ChannelName,
    after: i64,
    patience: Patience,
    now: Timestamp,
) -> rusqlite::Result<Option<Delivery>> {
    let latest = match patience {
        Patience::PassedOver => i64::MAX,
        Patience::Kept => now.as_microsecond(),
    };
    // What is due later than any wait can reach was written before the clock was set back.
    let impossible = now.checked_add(BACKOFF_MAX).unwrap_or(now).as_microsecond();
    let mut next = transaction.prepare(
        "SELECT alert.id, alert.document, delivery.attempts FROM delivery JOIN alert ON alert.id = delivery.alert
         WHERE delivery.gateway = ?1 AND delivery.channel = ?2 AND delivery.state = 'waiting' AND alert.id > ?3
           AND alert.id <= (SELECT max(alert) FROM delivery WHERE gateway = ?1 AND channel = ?2
                            AND state = 'waiting' AND alert > ?3 AND (due_at <= ?4 OR due_at > ?5))
         ORDER BY alert.id LIMIT 1",
    )?;
    loop {
        let bounds = params![gateway, channel.as_str(), after, latest, impossible];
        let row = next
            .query_row(bounds, |row| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?, row.get::<_, i64>(2)?)))
            .optional()?;
        let Some((id, text, attempts)) = row else { return Ok(None) };
        if let Ok(alert) = serde_json::from_str(&text) {
            return Ok(Some(Delivery { id, channel, alert, attempts }));
        }
        // It must not keep back what comes after it.
        transaction.execute(
            "UPDATE delivery SET state = 'dropped', ended_at = ?3, answer = 'given up: it cannot be read'
             WHERE alert = ?1 AND channel = ?2",
            params![id, channel.as_str(), now.as_microsecond()],
        )?;
    }
}

pub(super) fn list(connection: &Connection, gateway: Option<&str>, rows_max: usize) -> rusqlite::Result<Vec<Listed>> {
    let mut alerts = connection
        .prepare("SELECT id, document FROM alert WHERE ?1 IS NULL OR gateway = ?1 ORDER BY id DESC LIMIT ?2")?;
    let mut deliveries = connection.prepare(
        "SELECT channel, state, attempts, due_at, ended_at, answer FROM delivery WHERE alert = ?1 ORDER BY channel",
    )?;
    let rows_max = i64::try_from(rows_max).unwrap_or(i64::MAX);
    let rows = alerts.query_map(params![gateway, rows_max], |row| Ok((row.get(0)?, row.get::<_, String>(1)?)))?;
    let mut listed = Vec::new();
    for row in rows {
        let (id, text): (i64, String) = row?;
        // What cannot be read cannot be shown.
        let Ok(alert) = serde_json::from_str(&text) else { continue };
        let deliveries = deliveries.query_map(params![id], listed_delivery)?.collect::<rusqlite::Result<_>>()?;
        listed.push(Listed { id, alert, deliveries });
    }
    listed.reverse();
    Ok(listed)
}

fn listed_delivery(row: &rusqlite::Row<'_>) -> rusqlite::Result<ListedDelivery> {
    Ok(ListedDelivery {
        channel: row.get(0)?,
        state: DeliveryState::from_word(&row.get::<_, String>(1)?),
        attempts: row.get(2)?,
        due_at: timestamp(row.get(3)?),
        ended_at: row.get::<_, Option<i64>>(4)?.map(timestamp),
        answer: row.get(5)?,
    })
}
