//! A picture of some curves over the number of gateways, beside each other, each with its own scale; made by hand, since three
//! curves are not worth a library. Its colours follow the reader's, light or dark.

use std::fmt::Write as _;

/// The size of one curve's place, and the room around the curve.
const WIDTH: f64 = 280.0;
const HEIGHT: f64 = 230.0;
const LEFT: f64 = 48.0;
const RIGHT: f64 = 20.0;
const TOP: f64 = 34.0;
const BOTTOM: f64 = 44.0;

/// At most so many steps of a scale.
const STEPS_MAX: f64 = 5.0;

const STYLE: &str = "\
text { font: 12px system-ui, sans-serif; fill: #333; } .name { font-weight: 600; } \
.grid { stroke: #bbb; stroke-width: 0.6; } .linear { stroke: #888; stroke-dasharray: 4 3; fill: none; } \
.curve { stroke: #0969da; stroke-width: 1.8; fill: none; } .point { fill: #0969da; } \
@media (prefers-color-scheme: dark) { text { fill: #ddd; } .grid { stroke: #555; } .linear { stroke: #999; } \
.curve { stroke: #58a6ff; } .point { fill: #58a6ff; } }";

/// One curve: its name, its unit, its points by the number of gateways, from the smallest.
pub(in crate::bench) type Curve = (&'static str, &'static str, Vec<(f64, f64)>);

/// The picture as SVG.
pub(in crate::bench) fn draw(curves: &[Curve]) -> String {
    let mut text = String::new();
    let width = WIDTH * f64::from(u32::try_from(curves.len()).unwrap_or(1));
    let _ = writeln!(
        text,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {HEIGHT}\" width=\"{width}\" height=\"{HEIGHT}\" \
         role=\"img\">"
    );
    let _ = writeln!(text, "<title>What a watch costs, by the number of gateways</title>\n<style>{STYLE}</style>");
    let mut left = 0.0;
    for curve in curves {
        panel(&mut text, left, curve);
        left += WIDTH;
    }
    text.push_str("</svg>\n");
    text
}

fn panel(text: &mut String, left: f64, (name, unit, points): &Curve) {
    let largest = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).fold(0.0, f64::max);
    let (across, up) = (Scale::to(largest(|point| point.0)), Scale::to(largest(|point| point.1)));
    let (bottom, inner_width, inner_height) = (HEIGHT - BOTTOM, WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM);
    let x = |value: f64| left + LEFT + value / across.end * inner_width;
    let y = |value: f64| bottom - value / up.end * inner_height;
    let (first, last, middle) = (x(0.0), x(across.end), x(across.end / 2.0));
    let _ = writeln!(text, "<text class=\"name\" x=\"{first:.1}\" y=\"18\">{name}, {unit}</text>");
    for value in up.marks() {
        let (height, label) = (y(value), up.label(value));
        let _ = writeln!(text, "<path class=\"grid\" d=\"M{first:.1} {height:.1}H{last:.1}\"/>");
        let (end, base) = (first - 6.0, height + 4.0);
        let _ = writeln!(text, "<text x=\"{end:.1}\" y=\"{base:.1}\" text-anchor=\"end\">{label}</text>");
    }
    for value in across.marks() {
        let (place, base, label) = (x(value), bottom + 17.0, across.label(value));
        let _ = writeln!(text, "<text x=\"{place:.1}\" y=\"{base:.1}\" text-anchor=\"middle\">{label}</text>");
    }
    let base = HEIGHT - 8.0;
    let _ = writeln!(text, "<text x=\"{middle:.1}\" y=\"{base:.1}\" text-anchor=\"middle\">gateways</text>");
    let path = |points: &mut dyn Iterator<Item = &(f64, f64)>| {
        let places: Vec<String> = points.map(|point| format!("{:.1} {:.1}", x(point.0), y(point.1))).collect();
        places.join("L")
    };
    let ends = path(&mut points.first().into_iter().chain(points.last()));
    let _ = writeln!(text, "<path class=\"linear\" d=\"M{ends}\"/>");
    let _ = writeln!(text, "<path class=\"curve\" d=\"M{}\"/>", path(&mut points.iter()));
    for point in points {
        let _ = writeln!(text, "<circle class=\"point\" cx=\"{:.1}\" cy=\"{:.1}\" r=\"3\"/>", x(point.0), y(point.1));
    }
}

/// A scale from zero, in round steps.
struct Scale {
    step: f64,
    end: f64,
}

impl Scale {
    /// One that holds this value.
    fn to(largest: f64) -> Self {
        let largest = if largest > 0.0 { largest } else { 1.0 };
        let rough = largest / STEPS_MAX;
        let power = 10_f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0].map(|times| times * power).into_iter().find(|step| *step >= rough);
        let step = step.unwrap_or(rough);
        Self { step, end: (largest / step).ceil() * step }
    }

    fn marks(&self) -> impl Iterator<Item = f64> {
        let (step, end) = (self.step, self.end);
        (0..=10_u32).map(move |count| f64::from(count) * step).take_while(move |value| *value < end + step / 2.0)
    }

    fn label(&self, value: f64) -> String {
        if self.step >= 1.0 { format!("{value:.0}") } else { format!("{value:.1}") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_are_round_and_hold_everything() {
        for (largest, step, end) in
            [(2_000.0, 500.0, 2_000.0), (88.5, 20.0, 100.0), (2.7, 1.0, 3.0), (0.9, 0.2, 1.0), (0.0, 0.2, 1.0)]
        {
            let scale = Scale::to(largest);
            assert!((scale.step - step).abs() < 1e-9 && (scale.end - end).abs() < 1e-9, "{largest}: {step} {end}");
            assert_eq!(scale.marks().last().map(|last| (last - end).abs() < 1e-9), Some(true), "{largest}");
        }
    }

    #[test]
    fn a_picture() {
        let points = vec![(1.0, 10.0), (500.0, 30.0), (2_000.0, 88.0)];
        insta::assert_snapshot!(draw(&[("memory", "MiB", points.clone()), ("idle", "% of one core", points)]));
    }
}
