//! What was said, and ways back.

use chat::Message;

/// The messages of a conversation. Points in it can be marked to return to.
#[derive(Debug, Default)]
pub struct Transcript {
    messages: Vec<Message>,
    /// Numbers of messages there were at the marks.
    marks: Vec<usize>,
}

impl Transcript {
    /// Begins anew, with a system message if there is one.
    pub fn clear(&mut self, system: Option<&str>) {
        self.marks.clear();
        self.messages.clear();
        self.messages.extend(system.map(|text| Message::new("system", text)));
    }

    /// All messages.
    pub fn messages(&self) -> &[Message] {
        &self.messages
    }

    /// Appends a message.
    pub fn push(&mut self, message: Message) {
        self.messages.push(message);
    }

    /// Takes the last message away.
    pub fn pop(&mut self) {
        self.cut(self.messages.len().saturating_sub(1));
    }

    /// Takes the last question away, with what answers it; returns whether there was one.
    pub fn undo(&mut self) -> bool {
        let Some(question) = self.messages.iter().rposition(|message| message.role == "user")
        else {
            return false;
        };
        self.cut(question);
        true
    }

    /// Takes the first question away, with what answers it; returns whether there was one.
    pub fn forget(&mut self) -> bool {
        let is_question = |message: &Message| message.role == "user";
        let Some(first) = self.messages.iter().position(is_question) else { return false };
        let next = self.messages[first + 1..].iter().position(is_question);
        let end = next.map_or(self.messages.len(), |next| first + 1 + next);
        self.messages.drain(first..end);
        for mark in &mut self.marks {
            *mark = if *mark >= end { *mark - (end - first) } else { (*mark).min(first) };
        }
        true
    }

    /// Marks this point.
    pub fn mark(&mut self) {
        self.marks.push(self.messages.len());
    }

    /// Returns to the last mark; whether there was one.
    pub fn return_to_mark(&mut self) -> bool {
        let Some(mark) = self.marks.pop() else { return false };
        self.messages.truncate(mark);
        true
    }

    /// The last words before each mark, the newest mark last.
    pub fn marks(&self) -> Vec<String> {
        let before = |&mark: &usize| match mark.checked_sub(1) {
            Some(last) => {
                let message = &self.messages[last];
                format!("{}: {}", message.role, shortened(&message.content.to_text()))
            }
            None => "the beginning".to_owned(),
        };
        self.marks.iter().map(before).collect()
    }

    fn cut(&mut self, len: usize) {
        self.messages.truncate(len);
        self.marks.retain(|&mark| mark <= len);
    }
}

/// The beginning of a text, in one line.
fn shortened(text: &str) -> String {
    const LONGEST: usize = 60;
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(LONGEST) {
        Some((at, _)) => format!("{}…", &line[..at]),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn transcript() -> Transcript {
        let mut transcript = Transcript::default();
        transcript.clear(Some("be brief"));
        for i in 0..3 {
            transcript.push(Message::new("user", format!("question {i}")));
            transcript.push(Message::new("assistant", format!("answer {i}")));
        }
        transcript
    }

    fn texts(transcript: &Transcript) -> Vec<String> {
        transcript.messages().iter().map(|message| message.content.to_text()).collect()
    }

    #[test]
    fn questions_go_with_their_answers() {
        let mut transcript = transcript();
        assert!(transcript.undo() && transcript.forget());
        assert_eq!(texts(&transcript), ["be brief", "question 1", "answer 1"]);
        assert!(transcript.undo() && !transcript.undo() && !transcript.forget());
        assert_eq!(texts(&transcript), ["be brief"]);
    }

    #[test]
    fn marks_lead_back() {
        let mut transcript = transcript();
        transcript.mark();
        transcript.push(Message::new("user", "word ".repeat(40)));
        transcript.mark();
        transcript.push(Message::new("assistant", "gone"));
        let marks = transcript.marks();
        assert_eq!(marks[0], "assistant: answer 2");
        assert!(marks[1].starts_with("user: word word") && marks[1].ends_with('…'), "{marks:?}");
        assert!(transcript.return_to_mark());
        assert_eq!(transcript.messages().len(), 8);
        assert!(transcript.forget() && transcript.return_to_mark());
        assert_eq!(texts(&transcript).last().map(String::as_str), Some("answer 2"));
        assert!(!transcript.return_to_mark());
        // A mark goes with what it stood after.
        transcript.mark();
        assert!(transcript.undo() && transcript.marks().is_empty());
    }
}
