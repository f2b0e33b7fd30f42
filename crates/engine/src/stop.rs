//! Texts that end an answer.

/// Looks for stop texts in an answer as it grows, and holds back what may be the beginning of one.
#[derive(Debug, Clone, Default)]
pub struct StopTexts {
    stops: Vec<String>,
    held: String,
}

impl StopTexts {
    /// Watches for these; empty ones are left out.
    pub fn new(stops: &[String]) -> Self {
        let stops = stops.iter().filter(|stop| !stop.is_empty()).cloned().collect();
        Self { stops, held: String::new() }
    }

    /// Appends `text` and returns what is certain to belong to the answer, with the stop text that
    /// ends it where one was found.
    pub fn push(&mut self, text: &str) -> (String, Option<&str>) {
        if self.stops.is_empty() {
            return (text.to_owned(), None);
        }
        self.held.push_str(text);
        let found = self.stops.iter().filter_map(|stop| Some((self.held.find(stop)?, stop)));
        // Of two that begin together, the longer one.
        if let Some((at, stop)) = found.min_by_key(|(at, stop)| (*at, usize::MAX - stop.len())) {
            let text = self.held[..at].to_owned();
            self.held.clear();
            return (text, Some(stop));
        }
        let keep = self.stops.iter().map(|stop| overlap(&self.held, stop)).max().unwrap_or(0);
        let rest = self.held.split_off(self.held.len() - keep);
        (std::mem::replace(&mut self.held, rest), None)
    }

    /// What was held back and belongs to the answer after all.
    pub fn finish(&mut self) -> String {
        std::mem::take(&mut self.held)
    }
}

/// Length of the longest end of `text` that `stop` begins with.
fn overlap(text: &str, stop: &str) -> usize {
    let ends = stop.char_indices().map(|(at, _)| at).rev();
    ends.filter(|&n| n > 0).find(|&n| text.ends_with(&stop[..n])).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn holds_back_what_may_stop() {
        let mut stops = StopTexts::new(&["</s>".into(), "\n\n".into(), String::new()]);
        assert_eq!(stops.push("one <"), ("one ".into(), None));
        assert_eq!(stops.push("/b>\n"), ("</b>".into(), None));
        assert_eq!(stops.push("two </"), ("\ntwo ".into(), None));
        assert_eq!(stops.push("s> three"), (String::new(), Some("</s>")));
        assert_eq!(stops.finish(), "");
        assert_eq!(stops.push("end\n"), ("end".into(), None));
        assert_eq!(stops.finish(), "\n");
    }

    proptest! {
        /// However it is cut, the answer ends before the first stop text.
        #[test]
        fn any_split_gives_the_same(
            pieces in prop::collection::vec("[abé]{0,4}", 0..12),
            stops in prop::collection::vec("[abé]{1,3}", 0..3),
        ) {
            let whole: String = pieces.concat();
            let mut watch = StopTexts::new(&stops);
            let (mut text, mut stopped) = (String::new(), false);
            for piece in &pieces {
                let (part, stop) = watch.push(piece);
                text += &part;
                if stop.is_some() {
                    stopped = true;
                    break;
                }
            }
            if !stopped {
                text += &watch.finish();
            }
            // The earliest beginning of those that the pieces so far complete.
            prop_assert!(whole.starts_with(&text));
            prop_assert!(stops.iter().all(|stop| !text.contains(stop)));
            prop_assert_eq!(stopped, stops.iter().any(|stop| whole.contains(stop)));
        }
    }
}
