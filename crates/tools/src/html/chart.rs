//! Charts as SVG. Colours come from the page's style.

use std::fmt::Write;

use super::escape;

/// Colours there are for series; further ones repeat them.
pub(super) const COLORS: usize = 6;

const WIDTH: f64 = 920.0;
const HEIGHT: f64 = 300.0;
const LEFT: f64 = 74.0;
const RIGHT: f64 = 16.0;
const TOP: f64 = 10.0;
const BOTTOM: f64 = 44.0;

/// Lines of the grid, about.
const TICKS: f64 = 5.0;
/// Width that a label below takes.
const LABEL: f64 = 74.0;

/// Values that belong together.
#[derive(Debug, Clone)]
pub struct Series {
    /// What they are of.
    pub name: String,
    /// One for each place; NaN for none.
    pub values: Vec<f64>,
}

/// Bars side by side; those of several series stand on each other.
pub struct Columns<'a> {
    /// What each bar is of.
    pub labels: &'a [String],
    /// Parts of the bars.
    pub series: &'a [Series],
    /// How values are written.
    pub format: &'a dyn Fn(f64) -> String,
}

/// Curves over numbers.
pub struct Lines<'a> {
    /// Where values are, ascending.
    pub x: &'a [f64],
    /// What these numbers are.
    pub x_name: &'a str,
    /// The curves.
    pub series: &'a [Series],
    /// How values are written.
    pub format: &'a dyn Fn(f64) -> String,
}

impl Columns<'_> {
    pub(super) fn names(&self) -> Vec<&str> {
        self.series.iter().map(|series| series.name.as_str()).collect()
    }

    pub(super) fn svg(&self, title: &str) -> String {
        let value = |series: &Series, at: usize| {
            series.values.get(at).copied().filter(|v| v.is_finite() && *v > 0.0).unwrap_or(0.0)
        };
        let total = |at: usize| self.series.iter().map(|series| value(series, at)).sum::<f64>();
        let most = (0..self.labels.len()).map(total).fold(0.0, f64::max);
        let scale = Scale::new(0.0, most);
        let mut svg = begin(title, &scale, self.format);
        let step = (WIDTH - LEFT - RIGHT) / self.labels.len().max(1) as f64;
        let width = (step * 0.8).min(64.0);
        let each = (LABEL / step).ceil().max(1.0) as usize;
        for (at, label) in self.labels.iter().enumerate() {
            let middle = LEFT + step * (at as f64 + 0.5);
            let left = middle - width / 2.0;
            let mut below = 0.0;
            for (i, series) in self.series.iter().enumerate() {
                let value = value(series, at);
                if value == 0.0 {
                    continue;
                }
                let (top, bottom) = (scale.y(below + value), scale.y(below));
                below += value;
                let tip = format!("{label}, {}: {}", series.name, (self.format)(value));
                let _ = write!(
                    svg,
                    "<rect class=b{} x={left:.1} y={top:.1} width={width:.1} height={:.1}>\
                     <title>{}</title></rect>",
                    i % COLORS,
                    bottom - top,
                    escape(&tip)
                );
            }
            if at % each == 0 {
                x_label(&mut svg, middle, label);
            }
        }
        svg + "</svg>"
    }
}

impl Lines<'_> {
    pub(super) fn names(&self) -> Vec<&str> {
        self.series.iter().map(|series| series.name.as_str()).collect()
    }

    pub(super) fn svg(&self, title: &str) -> String {
        let values = || self.series.iter().flat_map(|series| &series.values).copied();
        let finite = || values().filter(|value| value.is_finite());
        let scale = Scale::new(finite().fold(0.0, f64::min), finite().fold(0.0, f64::max));
        let mut svg = begin(title, &scale, self.format);
        let (first, last) = match self.x {
            [first, .., last] if last > first => (*first, *last),
            [first, ..] => (first - 1.0, first + 1.0),
            [] => (0.0, 1.0),
        };
        let x = |value: f64| LEFT + (value - first) / (last - first) * (WIDTH - LEFT - RIGHT);
        for (i, series) in self.series.iter().enumerate() {
            let color = i % COLORS;
            let mut path = String::new();
            let mut apart = true;
            for (&at, &value) in self.x.iter().zip(&series.values) {
                if !value.is_finite() {
                    apart = true;
                    continue;
                }
                let command = if apart { 'M' } else { 'L' };
                apart = false;
                let _ = write!(path, "{command}{:.1} {:.1}", x(at), scale.y(value));
            }
            let _ = write!(svg, "<path class=\"l l{color}\" d=\"{path}\"/>");
            // Few points can be read one by one.
            for (&at, &value) in self.x.iter().zip(&series.values).filter(|_| self.x.len() <= 64) {
                if value.is_finite() {
                    let tip = format!("{}, {at}: {}", series.name, (self.format)(value));
                    let _ = write!(
                        svg,
                        "<circle class=b{color} cx={:.1} cy={:.1} r=3.5><title>{}</title></circle>",
                        x(at),
                        scale.y(value),
                        escape(&tip)
                    );
                }
            }
        }
        let step = nice((last - first) / 8.0);
        let mut at = (first / step).ceil() * step;
        while at <= last {
            x_label(&mut svg, x(at), &format!("{}", round(at, step)));
            at += step;
        }
        let _ = write!(
            svg,
            "<text x={:.1} y={:.1} text-anchor=middle>{}</text>",
            (LEFT + WIDTH - RIGHT) / 2.0,
            HEIGHT - 4.0,
            escape(self.x_name)
        );
        svg + "</svg>"
    }
}

/// From values to heights.
struct Scale {
    low: f64,
    high: f64,
    step: f64,
}

impl Scale {
    fn new(low: f64, high: f64) -> Self {
        let range = if high > low { high - low } else { 1.0 };
        let step = nice(range / TICKS);
        let low = (low / step).floor() * step;
        Self { low, high: ((low + range) / step).ceil().max(low / step + 1.0) * step, step }
    }

    fn y(&self, value: f64) -> f64 {
        let share = (value - self.low) / (self.high - self.low);
        HEIGHT - BOTTOM - share * (HEIGHT - BOTTOM - TOP)
    }
}

/// The frame, the grid and what its lines mean.
fn begin(title: &str, scale: &Scale, format: &dyn Fn(f64) -> String) -> String {
    let mut svg =
        format!("<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=img aria-label=\"{}\">", escape(title));
    let n = ((scale.high - scale.low) / scale.step).round() as usize;
    for i in 0..=n {
        let value = round(scale.low + i as f64 * scale.step, scale.step);
        let y = scale.y(value);
        let _ = write!(
            svg,
            "<line class=grid x1={LEFT} x2={} y1={y:.1} y2={y:.1} />\
             <text x={} y={:.1} text-anchor=end>{}</text>",
            WIDTH - RIGHT,
            LEFT - 8.0,
            y + 4.0,
            escape(&format(value))
        );
    }
    svg
}

fn x_label(svg: &mut String, x: f64, text: &str) {
    let y = HEIGHT - BOTTOM + 18.0;
    let _ = write!(svg, "<text x={x:.1} y={y} text-anchor=middle>{}</text>", escape(text));
}

/// 1, 2 or 5 times a power of ten, at least `step`.
fn nice(step: f64) -> f64 {
    let power = 10f64.powf(step.log10().floor());
    let factor = [1.0, 2.0, 5.0, 10.0].into_iter().find(|f| f * power >= step * 0.999);
    factor.unwrap_or(10.0) * power
}

/// Without what adding up steps leaves behind.
fn round(value: f64, step: f64) -> f64 {
    let digits = 10f64.powf((1.0 - step.log10()).ceil().max(0.0));
    (value * digits).round() / digits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grids_have_round_numbers() {
        assert_eq!([0.7, 1.0, 1.2, 3.0, 7.0, 30.0].map(nice), [1.0, 1.0, 2.0, 5.0, 10.0, 50.0]);
        let scale = Scale::new(0.0, 37.0);
        assert_eq!((scale.low, scale.high, scale.step), (0.0, 40.0, 10.0));
        assert!(scale.y(40.0) == TOP && scale.y(0.0) == HEIGHT - BOTTOM);
        assert_eq!(round(0.1 + 0.2, 0.1), 0.3);
    }

    #[test]
    fn bars_are_as_high_as_their_values() {
        let labels = ["a", "b"].map(str::to_owned);
        let series = [Series { name: "s".into(), values: vec![50.0, 100.0] }];
        let svg = Columns { labels: &labels, series: &series, format: &|v| v.to_string() }.svg("t");
        let heights: Vec<f64> = svg
            .split("height=")
            .skip(1)
            .map(|rest| rest[..rest.find('>').expect("a tag")].parse().expect("a number"))
            .collect();
        assert!(heights.len() == 2 && (heights[1] / heights[0] - 2.0).abs() < 0.01, "{heights:?}");
    }

    #[test]
    fn curves_break_where_there_is_no_value() {
        let series = [Series { name: "s".into(), values: vec![1.0, f64::NAN, 2.0, 3.0] }];
        let x = [0.0, 1.0, 2.0, 3.0];
        let lines = Lines { x: &x, x_name: "n", series: &series, format: &|v| v.to_string() };
        let svg = lines.svg("t");
        let path = &svg[svg.find("d=\"").expect("a path")..];
        let path = &path[..path.find("\"/>").expect("its end")];
        assert_eq!((path.matches('M').count(), path.matches('L').count()), (2, 1));
        assert!(!svg.contains("NaN"));
        // Neither do values that are all the same, or none, make infinite ones.
        for values in [vec![0.0; 4], Vec::new()] {
            let series = [Series { name: "s".into(), values }];
            let svg = Lines { series: &series, ..lines }.svg("t");
            assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
        }
    }
}
