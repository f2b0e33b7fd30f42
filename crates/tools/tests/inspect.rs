//! What is wrong with a file is found, and nothing else.

mod support;

use bytes::Bytes;
use fixtures::Fixture;
use gguf::{Gguf, Value};
use tools::inspect::{Inspection, Paint, Severity, inspect_model};

use support::{changed, parsed, with_keys};

/// A model that has all that a good one has.
const GOOD: [(&str, Value<'static>); 4] = [
    ("tokenizer.chat_template", Value::String(CHATML)),
    ("tokenizer.ggml.eos_token_id", Value::U32(2)),
    ("general.file_type", Value::U32(0)),
    ("general.name", Value::String("tiny")),
];
const CHATML: &str = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n\
                      {% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";

fn model() -> Gguf {
    Fixture::named("llama-gqa").model()
}

fn problems(keys: &[(&str, Value<'_>)]) -> Vec<(Severity, String)> {
    let others = GOOD.iter().filter(|(good, _)| keys.iter().all(|(key, _)| key != good));
    let keys: Vec<_> = keys.iter().chain(others).copied().collect();
    of(&inspect_model(&parsed(with_keys(&model(), &keys))))
}

fn of(inspection: &Inspection) -> Vec<(Severity, String)> {
    inspection.problems.iter().map(|problem| (problem.severity, problem.text.clone())).collect()
}

#[track_caller]
fn assert_found(problems: &[(Severity, String)], severity: Severity, part: &str) {
    assert!(
        problems.iter().any(|(found, text)| *found == severity && text.contains(part)),
        "no {severity:?} with \"{part}\": {problems:?}"
    );
}

#[test]
fn a_good_model_has_no_problems_and_is_described() {
    let inspection = inspect_model(&parsed(with_keys(&model(), &GOOD)));
    assert_eq!(of(&inspection), []);
    let template = inspection.template.as_ref().expect("a template");
    assert_eq!(template.name, Some("chatml"));
    assert!(template.system_role && !template.tools);
    let tokenizer = inspection.tokenizer.as_ref().expect("a tokenizer");
    assert_eq!((tokenizer.model.as_str(), tokenizer.tokens), ("llama", 128));
    let eos = tokenizer.special.iter().find(|token| token.role == "eos").expect("an end");
    assert_eq!(eos.id, 2);

    let plain = |text: &str| text.to_owned();
    let text = inspection.overview(Paint { heading: &plain, problem: &plain });
    for part in ["tiny, llama", "none found", "blk.0", "q8_0", "+ work", "chatml"] {
        assert!(text.contains(part), "no \"{part}\" in {text}");
    }
    assert!(inspection.tensor_list().contains("256 x 384"));
    assert!(inspection.metadata_list().contains("128 items"));
    let json: serde_json::Value = serde_json::from_str(&inspection.to_json()).expect("JSON");
    assert_eq!(json["tensors"][0]["name"], "token_embd.weight");
    assert_eq!(json["context"]["rows"][0]["n_ctx"], 256);
    let page = inspection.page().finish();
    assert!(page.contains("<svg") && page.contains("tiny") && page.contains("blk.1, f32: "));
}

#[test]
fn metadata_is_doubted() {
    let missing = of(&inspect_model(&model()));
    assert_found(&missing, Severity::Warning, "no chat template");
    assert_found(&missing, Severity::Warning, "names no EOS token: 2");

    let eos = problems(&[("tokenizer.ggml.eos_token_id", Value::U32(5))]);
    assert_found(&eos, Severity::Warning, "EOS token 5");
    let beyond = problems(&[("tokenizer.ggml.bos_token_id", Value::U32(999))]);
    assert!(beyond.is_empty() || beyond.iter().any(|(_, text)| text.contains("999")), "{beyond:?}");
    let template = problems(&[("tokenizer.chat_template", Value::String("{% if %}"))]);
    assert_found(&template, Severity::Error, "the chat template can't be used");
    let types = problems(&[("general.file_type", Value::U32(15))]);
    assert_found(&types, Severity::Note, "says Q4_K_M, but most weights are f32");
    let pre = problems(&[
        ("tokenizer.ggml.model", Value::String("gpt2")),
        ("tokenizer.ggml.pre", Value::String("unheard-of")),
    ]);
    assert_found(&pre, Severity::Error, "pre-tokenizer 'unheard-of' is unknown");
    let architecture = problems(&[("general.architecture", Value::String("llama9"))]);
    assert_found(&architecture, Severity::Error, "unknown model architecture 'llama9'");
}

#[test]
fn values_that_are_not_finite_are_found() {
    let spoilt = changed(&model(), &GOOD, |name, mut data| {
        if name == "blk.1.ffn_norm.weight" {
            data[40..44].copy_from_slice(&f32::NAN.to_le_bytes());
        }
        data
    });
    let found = of(&inspect_model(&parsed(spoilt)));
    assert_found(&found, Severity::Error, "NaN or infinity in blk.1.ffn_norm.weight");
    assert_eq!(found.len(), 1);
}

#[test]
fn data_lies_as_it_should() {
    let mut file = with_keys(&model(), &GOOD);
    file.extend([1; 100]);
    let trailing = of(&inspect_model(&Gguf::parse(Bytes::from(file.clone())).expect("a file")));
    assert_found(&trailing, Severity::Warning, "100 bytes follow the last tensor");

    // The second tensor moved back onto the first: its offset follows name, sizes and type.
    let name = b"output_norm.weight";
    let at = file.windows(name.len()).position(|bytes| bytes == name).expect("the name");
    let offset = at + name.len() + 4 + 8 + 4;
    let old = u64::from_le_bytes(file[offset..offset + 8].try_into().expect("8 bytes"));
    assert_eq!(old, 256 * 128 * 4);
    file[offset..offset + 8].copy_from_slice(&(old - 64).to_le_bytes());
    let overlap = of(&inspect_model(&Gguf::parse(Bytes::from(file)).expect("a file")));
    assert_found(&overlap, Severity::Error, "token_embd.weight and output_norm.weight overlaps");
    assert_found(&overlap, Severity::Warning, "64 unused bytes before output.weight");
}
