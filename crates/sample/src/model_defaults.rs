use crate::{Mirostat, Params, SamplerKind};

impl Params {
    /// Takes what a model file recommends in its keys `general.sampling.*`; `value` gives the value
    /// of a key as text. As in llama.cpp, unknown names in the sequence are left out, and values
    /// that are not numbers have no effect.
    pub fn recommend(&mut self, value: impl Fn(&str) -> Option<String>) {
        let text = |key: &str| value(&format!("general.sampling.{key}"));
        if let Some(sequence) = text("sequence").filter(|s| !s.is_empty()) {
            self.samplers = sequence.split(';').filter_map(SamplerKind::from_name).collect();
        }
        let float = |key: &str, field: &mut f32| {
            let number = text(key).and_then(|text| text.trim().parse().ok());
            *field = number.filter(|n: &f32| n.is_finite()).unwrap_or(*field);
        };
        float("temp", &mut self.temperature);
        float("top_p", &mut self.top_p);
        float("min_p", &mut self.min_p);
        float("xtc_probability", &mut self.xtc_probability);
        float("xtc_threshold", &mut self.xtc_threshold);
        float("penalty_repeat", &mut self.repeat_penalty);
        float("mirostat_tau", &mut self.mirostat_tau);
        float("mirostat_eta", &mut self.mirostat_eta);
        let whole = |key: &str| text(key).and_then(|text| text.trim().parse::<i64>().ok());
        let size = |key: &str, field: &mut usize| {
            // llama.cpp reads negative numbers as none at all.
            *field = whole(key).map_or(*field, |n| usize::try_from(n).unwrap_or(0));
        };
        size("top_k", &mut self.top_k);
        size("penalty_last_n", &mut self.repeat_last_n);
        self.mirostat = whole("mirostat").and_then(Mirostat::from_number).unwrap_or(self.mirostat);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recommendations_replace_defaults() {
        let mut params = Params::default();
        params.recommend(|key| {
            let value = match key.strip_prefix("general.sampling.")? {
                "sequence" => "penalties;top-k;unheard;temp",
                "temp" => "0.600000",
                "top_k" => "20",
                "top_p" => "much",
                "penalty_last_n" => "-1",
                "mirostat" => "2",
                _ => return None,
            };
            Some(value.to_owned())
        });
        let samplers = vec![SamplerKind::Penalties, SamplerKind::TopK, SamplerKind::Temperature];
        let expected = Params {
            samplers,
            temperature: 0.6,
            top_k: 20,
            repeat_last_n: 0,
            mirostat: Mirostat::V2,
            ..Params::default()
        };
        assert_eq!(params, expected);
    }
}
