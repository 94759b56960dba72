//! What the store and the file put aside hold: whatever stands in an alert, it becomes a message that every channel can take; and
//! whatever is remembered, it is judged without a panic, makes one alert at most, and nothing new a second time.

use std::sync::LazyLock;

use ibga::alert::message::{Message, Templates};
use ibga_core::alert::{Alert, Hours, Memory, Policy, Trading, observe};
use ibga_core::report::Report;
use jiff::Timestamp;
use jiff::tz::{Offset, TimeZone};

/// When the alert is told and the memory judged, in seconds since 1970: 2026-11-23 09:31:00 in Hong Kong.
const NOW: i64 = 1_795_397_460;

static TEMPLATES: LazyLock<Templates> = LazyLock::new(Templates::default);

/// A ready report of then, and one that is not.
static REPORTS: LazyLock<Vec<Report>> = LazyLock::new(|| {
    [include_str!("alert/ready.json"), include_str!("alert/refused.json")]
        .iter()
        .filter_map(|text| Report::from_json(text, &zone()).ok())
        .collect()
});

fn zone() -> TimeZone {
    TimeZone::fixed(Offset::constant(8))
}

/// The bytes are an alert, or a memory.
pub fn alert(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let now = Timestamp::from_second(NOW).unwrap_or_default();
    if let Ok(alert) = serde_json::from_str::<Alert>(text) {
        told(&alert, now);
    }
    if let Ok(memory) = serde_json::from_str::<Memory>(text) {
        judged(&memory, now);
    }
}

fn told(alert: &Alert, now: Timestamp) {
    let rendered = TEMPLATES.render(alert, now, &zone());
    assert_eq!(rendered.faults, Vec::<String>::new(), "{alert:?}");
    let Message { subject, text, html, brief, .. } = &rendered.message;
    assert!(!subject.is_empty() && subject.chars().count() <= 200, "{subject}");
    assert!(!subject.contains(char::is_control), "{subject:?}");
    assert!(brief.chars().count() <= 500, "{brief}");
    assert!(text.len().max(html.len()) <= 512 * 1024, "{} {}", text.len(), html.len());
    assert!(!html.contains("<script"), "{html}");
    let written = serde_json::to_string(alert).unwrap_or_default();
    assert_eq!(serde_json::from_str::<Alert>(&written).ok().as_ref(), Some(alert));
}

fn judged(memory: &Memory, now: Timestamp) {
    assert_eq!(REPORTS.len(), 2, "the reports are read");
    let (open, close) = (NOW + 3_600 * 12, NOW + 3_600 * 2);
    let at = |second| Timestamp::from_second(second).ok();
    for trading in [Trading::On, Trading::Off, Trading::Unknown] {
        let hours = Hours { exchange: "XHKG".into(), trading, next_open: at(open), next_close: at(close) };
        for report in REPORTS.iter() {
            let step = observe(Some(memory), report, &Policy::default(), &hours, now);
            assert!(step.alerts.len() <= 1, "{:?}", step.alerts);
            let again = observe(Some(&step.memory), report, &Policy::default(), &hours, now);
            assert_eq!(again.alerts, [], "the same report told twice, of {memory:?}");
            assert_eq!(again.memory, step.memory);
        }
    }
}
