//! The flags of choosing tokens. They are changes to what the model recommends, so all of them are
//! kept as such.

use grammar::Grammar;
use sample::{Mirostat, Params, SamplerKind};

use super::flag::{Action, Flag, Group, Invalid};
use super::values::{file, number, whole, whole_or};
use crate::settings::{Settings, Text};

/// Every flag of choosing tokens.
pub const SAMPLING: &[Flag] = &[
    Flag {
        names: &["-s", "--seed"],
        action: Action::Value {
            name: "N",
            set: |s, v| {
                let seed = match v {
                    "-1" | "4294967295" => None,
                    v => Some(v.parse().map_err(|_| {
                        Invalid::expected("a whole number from 0 to 4294967294 (or -1)", v)
                    })?),
                };
                s.sampling.change(move |p| p.seed = seed);
                Ok(())
            },
        },
        env: None,
        group: Group::Sampling,
        help: "Equal seeds repeat equal answers (default: -1, another one each time).",
    },
    Flag {
        names: &["--temp", "--temperature"],
        action: Action::Value {
            name: "X",
            set: |s, v| float(s, v, ANY, |p, x| p.temperature = x.max(0.0)),
        },
        env: Some("LLAMA_ARG_TEMPERATURE"),
        group: Group::Sampling,
        help: "Higher is more surprising; 0 always takes the likeliest token (default: 0.8).",
    },
    Flag {
        names: &["--dynatemp-range"],
        action: Action::Value {
            name: "X",
            set: |s, v| float(s, v, ANY, |p, x| p.dynatemp_range = x),
        },
        env: None,
        group: Group::Sampling,
        help: "Let the temperature rise and fall this far with the entropy (default: 0).",
    },
    Flag {
        names: &["--dynatemp-exp"],
        action: Action::Value {
            name: "X",
            set: |s, v| float(s, v, ANY, |p, x| p.dynatemp_exponent = x),
        },
        env: None,
        group: Group::Sampling,
        help: "Exponent of the entropy in that (default: 1).",
    },
    Flag {
        names: &["--top-k"],
        action: Action::Value {
            name: "N",
            set: |s, v| {
                let k = whole_or(v, 0, &["-1"])?.unwrap_or(0);
                s.sampling.change(move |p| p.top_k = k);
                Ok(())
            },
        },
        env: Some("LLAMA_ARG_TOP_K"),
        group: Group::Sampling,
        help: "Choose among the N likeliest tokens (default: 40; 0: all).",
    },
    Flag {
        names: &["--top-p"],
        action: Action::Value { name: "X", set: |s, v| float(s, v, SHARE, |p, x| p.top_p = x) },
        env: Some("LLAMA_ARG_TOP_P"),
        group: Group::Sampling,
        help: "Choose among the likeliest tokens that together reach this probability \
               (default: 0.95; 1: all).",
    },
    Flag {
        names: &["--min-p"],
        action: Action::Value { name: "X", set: |s, v| float(s, v, SHARE, |p, x| p.min_p = x) },
        env: Some("LLAMA_ARG_MIN_P"),
        group: Group::Sampling,
        help: "Drop tokens less likely than this share of the likeliest (default: 0.05; 0: none).",
    },
    Flag {
        names: &["--typical", "--typical-p"],
        action: Action::Value { name: "X", set: |s, v| float(s, v, ANY, |p, x| p.typical_p = x) },
        env: None,
        group: Group::Sampling,
        help: "Choose among the tokens of the most typical information that together reach this \
               probability (default: 1, all).",
    },
    Flag {
        names: &["--top-nsigma", "--top-n-sigma"],
        action: Action::Value { name: "X", set: |s, v| float(s, v, ANY, |p, x| p.top_n_sigma = x) },
        env: None,
        group: Group::Sampling,
        help: "Choose among scores within this many standard deviations of the highest (default: \
               -1, all).",
    },
    Flag {
        names: &["--xtc-probability"],
        action: Action::Value {
            name: "X",
            set: |s, v| float(s, v, ANY, |p, x| p.xtc_probability = x),
        },
        env: None,
        group: Group::Sampling,
        help: "How often to drop all likely tokens but the least of them (default: 0).",
    },
    Flag {
        names: &["--xtc-threshold"],
        action: Action::Value {
            name: "X",
            set: |s, v| float(s, v, ANY, |p, x| p.xtc_threshold = x),
        },
        env: None,
        group: Group::Sampling,
        help: "From which probability on a token is likely in that (default: 0.1; above 0.5: \
               never).",
    },
    Flag {
        names: &["--samplers"],
        action: Action::Value {
            name: "NAMES",
            set: |s, v| {
                let known = || SamplerKind::all().map(SamplerKind::name).collect::<Vec<_>>();
                let names = v.split(';').filter(|name| !name.is_empty());
                chain(s, names.map(SamplerKind::from_name).collect(), || {
                    Invalid::expected(&format!("names of {}, split by ;", known().join(", ")), v)
                })
            },
        },
        env: None,
        group: Group::Sampling,
        help: "The samplers to run, in this order (default: \
               penalties;dry;top_n_sigma;top_k;typ_p;top_p;min_p;xtc;temperature). There are \
               infill and adaptive_p, too.",
    },
    Flag {
        names: &["--sampler-seq", "--sampling-seq"],
        action: Action::Value {
            name: "LETTERS",
            set: |s, v| {
                let known: String = SamplerKind::all().map(SamplerKind::letter).collect();
                chain(s, v.chars().map(SamplerKind::from_letter).collect(), || {
                    Invalid::expected(&format!("letters of {known}"), v)
                })
            },
        },
        env: None,
        group: Group::Sampling,
        help: "The same by their letters (default: edskypmxt; i is infill, a adaptive_p).",
    },
    Flag {
        names: &["-l", "--logit-bias"],
        action: Action::Value {
            name: "ID+X|ID-X",
            set: |s, v| {
                let bias = logit_bias(v)?;
                s.sampling.change(move |p| p.logit_bias.push(bias));
                Ok(())
            },
        },
        env: None,
        group: Group::Sampling,
        help: "Add to or take from the score of the token with this id; 15-inf forbids token 15. \
               May be given more than once.",
    },
    Flag {
        names: &["--ignore-eos"],
        action: Action::Plain(|s| s.sampling.change(|p| p.ignore_eos = true)),
        env: None,
        group: Group::Sampling,
        help: "Forbid the tokens that end an answer.",
    },
    // Against repetition
    Flag {
        names: &["--repeat-penalty"],
        action: Action::Value {
            name: "X",
            set: |s, v| {
                let penalty: f32 = v.parse().unwrap_or(f32::NAN);
                if !(penalty > 0.0 && penalty.is_finite() && penalty.recip().is_finite()) {
                    return Err(Invalid::expected("a number above 0", v));
                }
                s.sampling.change(move |p| p.repeat_penalty = penalty);
                Ok(())
            },
        },
        env: Some("LLAMA_ARG_REPEAT_PENALTY"),
        group: Group::Repetition,
        help: "Make recent tokens less likely by this factor (default: 1, off).",
    },
    Flag {
        names: &["--repeat-last-n"],
        action: Action::Value { name: "N", set: |s, v| size(s, v, |p, n| p.repeat_last_n = n) },
        env: None,
        group: Group::Repetition,
        help: "How many tokens count as recent for the penalties (default: 64; 0: none).",
    },
    Flag {
        names: &["--presence-penalty"],
        action: Action::Value {
            name: "X",
            set: |s, v| float(s, v, ANY, |p, x| p.presence_penalty = x),
        },
        env: Some("LLAMA_ARG_PRESENCE_PENALTY"),
        group: Group::Repetition,
        help: "Taken once from the score of each recent token (default: 0).",
    },
    Flag {
        names: &["--frequency-penalty"],
        action: Action::Value {
            name: "X",
            set: |s, v| float(s, v, ANY, |p, x| p.frequency_penalty = x),
        },
        env: Some("LLAMA_ARG_FREQUENCY_PENALTY"),
        group: Group::Repetition,
        help: "Taken from the score of a recent token for each time it occurs (default: 0).",
    },
    Flag {
        names: &["--dry-multiplier"],
        action: Action::Value {
            name: "X",
            set: |s, v| float(s, v, ANY, |p, x| p.dry_multiplier = x),
        },
        env: None,
        group: Group::Repetition,
        help: "Weight of the DRY penalty on tokens that prolong a repetition (default: 0, off).",
    },
    Flag {
        names: &["--dry-base"],
        action: Action::Value {
            name: "X",
            set: |s, v| float(s, v, (1.0, f32::MAX), |p, x| p.dry_base = x),
        },
        env: None,
        group: Group::Repetition,
        help: "Growth of that penalty by each token repeated (default: 1.75).",
    },
    Flag {
        names: &["--dry-allowed-length"],
        action: Action::Value {
            name: "N",
            set: |s, v| size(s, v, |p, n| p.dry_allowed_length = n),
        },
        env: None,
        group: Group::Repetition,
        help: "Tokens that may be repeated without it (default: 2).",
    },
    Flag {
        names: &["--dry-penalty-last-n"],
        action: Action::Value { name: "N", set: |s, v| size(s, v, |p, n| p.dry_last_n = n) },
        env: None,
        group: Group::Repetition,
        help: "How many tokens to search for repetitions (default: 64; 0: none).",
    },
    Flag {
        names: &["--dry-sequence-breaker"],
        action: Action::Value {
            name: "TEXT",
            set: |s, v| {
                let first = !std::mem::replace(&mut s.breakers_given, true);
                let breaker = (v != "none").then(|| v.to_owned());
                s.sampling.change(move |p| {
                    if first || breaker.is_none() {
                        p.dry_breakers.clear();
                    }
                    p.dry_breakers.extend(breaker.clone());
                });
                Ok(())
            },
        },
        env: None,
        group: Group::Repetition,
        help: "A text that ends repetitions, in place of newline, colon, quote and asterisk; none \
               takes all away. May be given more than once.",
    },
    // Mirostat and adaptive-p
    Flag {
        names: &["--mirostat"],
        action: Action::Value {
            name: "0|1|2",
            set: |s, v| {
                let version = v.parse().ok().and_then(Mirostat::from_number);
                let version = version.ok_or_else(|| Invalid::expected("0, 1 or 2", v))?;
                s.sampling.change(move |p| p.mirostat = version);
                Ok(())
            },
        },
        env: None,
        group: Group::Choice,
        help: "Use this version of Mirostat in place of the samplers (default: 0, none).",
    },
    Flag {
        names: &["--mirostat-ent"],
        action: Action::Value {
            name: "X",
            set: |s, v| float(s, v, ANY, |p, x| p.mirostat_tau = x),
        },
        env: None,
        group: Group::Choice,
        help: "Bits of surprise per token that it aims at (default: 5).",
    },
    Flag {
        names: &["--mirostat-lr"],
        action: Action::Value {
            name: "X",
            set: |s, v| float(s, v, ANY, |p, x| p.mirostat_eta = x),
        },
        env: None,
        group: Group::Choice,
        help: "How fast it learns (default: 0.1).",
    },
    Flag {
        names: &["--adaptive-target"],
        action: Action::Value {
            name: "X",
            set: |s, v| float(s, v, (f32::MIN, 1.0), |p, x| p.adaptive_target = x),
        },
        env: None,
        group: Group::Choice,
        help: "Choose tokens near this probability, where adaptive_p is one of the samplers \
               (default: -1, off).",
    },
    Flag {
        names: &["--adaptive-decay"],
        action: Action::Value {
            name: "X",
            set: |s, v| float(s, v, (0.0, 0.99), |p, x| p.adaptive_decay = x),
        },
        env: None,
        group: Group::Choice,
        help: "How much of the past it keeps in mind (default: 0.9).",
    },
    // Form of the answer
    Flag {
        names: &["--grammar"],
        action: Action::Value { name: "GBNF", set: |s, v| grammar(s, Grammar::gbnf(v)) },
        env: None,
        group: Group::Form,
        help: "A grammar that the answer has to follow, in llama.cpp's notation; one in Lark \
               begins with %llguidance.",
    },
    Flag {
        names: &["--grammar-file"],
        action: Action::Value { name: "FILE", set: |s, v| grammar(s, Grammar::gbnf(&text_of(v)?)) },
        env: None,
        group: Group::Form,
        help: "The same, from a file.",
    },
    Flag {
        names: &["-j", "--json-schema"],
        action: Action::Value {
            name: "SCHEMA",
            set: |s, v| grammar(s, Grammar::json_schema_text(v)),
        },
        env: None,
        group: Group::Form,
        help: "A JSON schema that the answer has to fit; {} is any JSON.",
    },
    Flag {
        names: &["-jf", "--json-schema-file"],
        action: Action::Value {
            name: "FILE",
            set: |s, v| grammar(s, Grammar::json_schema_text(&text_of(v)?)),
        },
        env: None,
        group: Group::Form,
        help: "The same, from a file.",
    },
];

fn grammar(settings: &mut Settings, made: Result<Grammar, grammar::Error>) -> Result<(), Invalid> {
    let made = made.map_err(|error| Invalid { cause: error.to_string(), remedy: None })?;
    settings.grammar = Some(made);
    Ok(())
}

fn text_of(path: &str) -> Result<String, Invalid> {
    let (Text::Read(text) | Text::Typed(text)) = file(path)?;
    Ok(text)
}

const ANY: (f32, f32) = (f32::MIN, f32::MAX);
const SHARE: (f32, f32) = (0.0, 1.0);

fn float(
    settings: &mut Settings,
    value: &str,
    (low, high): (f32, f32),
    set: fn(&mut Params, f32),
) -> Result<(), Invalid> {
    let number = number(value, low..=high)?;
    settings.sampling.change(move |params| set(params, number));
    Ok(())
}

fn size(settings: &mut Settings, value: &str, set: fn(&mut Params, usize)) -> Result<(), Invalid> {
    let number = whole(value, 0)?;
    settings.sampling.change(move |params| set(params, number));
    Ok(())
}

fn chain(
    settings: &mut Settings,
    kinds: Option<Vec<SamplerKind>>,
    refusal: impl FnOnce() -> Invalid,
) -> Result<(), Invalid> {
    let kinds = kinds.ok_or_else(refusal)?;
    settings.sampling.change(move |params| params.samplers = kinds.clone());
    Ok(())
}

/// A token and what is added to its logit: `15043+1`, `15043-1`, `15043-inf`.
fn logit_bias(text: &str) -> Result<(u32, f32), Invalid> {
    let parts = text.find(['+', '-']).and_then(|at| {
        let bias: f32 = text[at..].parse().ok()?;
        Some((text[..at].trim().parse().ok()?, bias))
    });
    parts.filter(|(_, bias)| *bias < f32::INFINITY).ok_or_else(|| {
        Invalid::expected("the id of a token, + or -, and a number, such as 15043-1", text)
    })
}

#[cfg(test)]
mod tests {
    use super::super::testing::{parsed_words, refused_words};
    use super::*;

    fn params(line: &[&str]) -> Params {
        parsed_words(line).unwrap().sampling.over(&Params::default())
    }

    #[test]
    fn every_flag_sets_its_parameter() {
        let got = params(&[
            "--dry-multiplier",
            "0.8",
            "--dry-base",
            "2",
            "--dry-allowed-length",
            "3",
            "--dry-penalty-last-n",
            "99",
            "--xtc-probability",
            "0.5",
            "--xtc-threshold",
            "0.2",
            "--typical",
            "0.9",
            "--top-nsigma",
            "1.5",
            "--dynatemp-range",
            "0.3",
            "--dynatemp-exp",
            "2",
            "--mirostat",
            "2",
            "--mirostat-ent",
            "4",
            "--mirostat-lr",
            "0.2",
            "--adaptive-target",
            "0.4",
            "--adaptive-decay",
            "0.8",
            "--repeat-penalty",
            "1.1",
            "--repeat-last-n",
            "7",
            "--presence-penalty",
            "0.1",
            "--frequency-penalty",
            "0.2",
            "--min-p",
            "0.01",
            "--ignore-eos",
        ]);
        let expected = Params {
            dry_multiplier: 0.8,
            dry_base: 2.0,
            dry_allowed_length: 3,
            dry_last_n: 99,
            xtc_probability: 0.5,
            xtc_threshold: 0.2,
            typical_p: 0.9,
            top_n_sigma: 1.5,
            dynatemp_range: 0.3,
            dynatemp_exponent: 2.0,
            mirostat: Mirostat::V2,
            mirostat_tau: 4.0,
            mirostat_eta: 0.2,
            adaptive_target: 0.4,
            adaptive_decay: 0.8,
            repeat_penalty: 1.1,
            repeat_last_n: 7,
            presence_penalty: 0.1,
            frequency_penalty: 0.2,
            min_p: 0.01,
            ignore_eos: true,
            ..Params::default()
        };
        assert_eq!(got, expected);
    }

    #[test]
    fn chains_by_names_and_letters() {
        let kinds = vec![SamplerKind::TopK, SamplerKind::TypicalP, SamplerKind::Temperature];
        assert_eq!(params(&["--samplers", "top_k;typ;Temp"]).samplers, kinds);
        assert_eq!(params(&["--sampler-seq", "kyt"]).samplers, kinds);
        assert!(refused_words(&["--samplers", "top_k;magic"]).contains("adaptive_p"));
        assert!(refused_words(&["--sampler-seq", "kz"]).contains("letters of edskypmxtia"));
    }

    #[test]
    fn biases_and_breakers_add_up() {
        let got = params(&["-l", "15+1.5", "-l", "7-inf", "--logit-bias", "8-2"]);
        assert_eq!(got.logit_bias, [(15, 1.5), (7, f32::NEG_INFINITY), (8, -2.0)]);
        for wrong in ["15", "+1", "x-1", "3+inf", "3+", "-1-2"] {
            assert!(refused_words(&["-l", wrong]).contains("such as 15043-1"), "{wrong}");
        }
        let breakers = |line: &[&str]| params(line).dry_breakers;
        let flag = "--dry-sequence-breaker";
        assert_eq!(breakers(&[flag, "x", flag, "y"]), ["x", "y"]);
        assert!(breakers(&[flag, "none"]).is_empty());
    }

    #[test]
    fn grammars_are_read_with_the_flags() {
        let grammar = |line: &[&str]| parsed_words(line).map(|s| s.grammar);
        assert!(grammar(&["--grammar", "root ::= \"a\""]).unwrap().is_some());
        assert!(grammar(&["-j", "{}"]).unwrap().is_some());
        assert!(refused_words(&["--grammar", "root ::= a"]).contains("rule \"a\" is not defined"));
        assert!(refused_words(&["-j", "{\"not\": {}}"]).contains("keyword \"not\""));
        assert!(refused_words(&["-jf", "/no/such/file"]).contains("cannot read"));
    }

    #[test]
    fn flags_win_over_what_the_model_recommends() {
        let settings = parsed_words(&["--temp", "0.3"]).unwrap();
        let recommended = Params { temperature: 0.6, top_k: 20, ..Params::default() };
        let expected = Params { temperature: 0.3, top_k: 20, ..Params::default() };
        assert_eq!(settings.sampling.over(&recommended), expected);
    }
}
