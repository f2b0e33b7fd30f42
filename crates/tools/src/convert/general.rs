//! `general.*`: what a model is called, where it comes from, and how it is best sampled.

use serde_json::Value;

use super::Error;
use super::card::Card;
use super::folder::Folder;
use super::model_name::ModelName;
use super::pairs::Pairs;
use crate::weights::Tensor;

/// Adds it all. `name` is that of the model, where one was given.
pub fn put(
    folder: &Folder,
    name: Option<&str>,
    tensors: &[Tensor],
    pairs: &mut Pairs,
) -> Result<(), Error> {
    put_sampling(&folder.opt_json("generation_config.json").unwrap_or_default(), pairs)?;
    let card = Card::read(folder)?;
    let folder_name = folder.path.file_name().unwrap_or_default().to_string_lossy();
    let parsed = ModelName::parse(&folder_name, parameters(tensors));
    let text = |keys: &[&str]| card.text(keys).map(str::to_owned);
    let name = name.map(str::to_owned).or_else(|| text(&["name", "model_name"]));
    let label = text(&["size_label", "model_size_label"]).or(parsed.size_label);
    for (key, value) in [
        ("name", name.or(Some(parsed.title))),
        ("author", text(&["author", "model_author", "model_creator"])),
        ("version", text(&["version", "model_version"]).or(parsed.version)),
        ("organization", text(&["organization", "model_organization"])),
        ("finetune", text(&["finetune", "model_finetune"]).or(parsed.finetune)),
        ("basename", text(&["basename", "model_basename", "model_type"]).or(parsed.basename)),
        ("description", text(&["description", "model_description"])),
        ("size_label", label.or_else(|| Some(size_label(tensors)))),
    ] {
        if let Some(value) = value {
            pairs.put(&format!("general.{key}"), value.as_str())?;
        }
    }
    card.put(pairs)
}

/// Adds what the authors recommend.
fn put_sampling(config: &Value, pairs: &mut Pairs) -> Result<(), Error> {
    for (theirs, ours) in [("top_k", "top_k"), ("penalty_last_n", "penalty_last_n")] {
        if let Some(value) = config[theirs].as_i64().and_then(|value| i32::try_from(value).ok()) {
            pairs.put(&format!("general.sampling.{ours}"), value)?;
        }
    }
    for (theirs, ours) in [
        ("top_p", "top_p"),
        ("min_p", "min_p"),
        ("temperature", "temp"),
        ("repetition_penalty", "penalty_repeat"),
    ] {
        if let Some(value) = config[theirs].as_f64() {
            pairs.put(&format!("general.sampling.{ours}"), value as f32)?;
        }
    }
    Ok(())
}

fn parameters(tensors: &[Tensor]) -> u64 {
    tensors.iter().map(|tensor| tensor.values() as u64).sum()
}

/// About how many weights there are, such as `1.2B`, or `8x7B` for models with experts: of all that is
/// not of experts and of one of those.
fn size_label(tensors: &[Tensor]) -> String {
    let is_of_experts = |tensor: &&Tensor| tensor.name.contains("_exps.") && tensor.shape.len() > 2;
    let experts: Vec<&Tensor> = tensors.iter().filter(is_of_experts).collect();
    let Some(first) = experts.first() else { return rounded(parameters(tensors)) };
    let count = first.shape[2] as u64;
    let of_experts: u64 = experts.iter().map(|tensor| tensor.values() as u64).sum();
    let others = parameters(tensors) - of_experts;
    format!("{count}x{}", rounded(others + of_experts / count))
}

/// A number with two digits at least.
fn rounded(count: u64) -> String {
    let units = [(1e12, "T"), (1e9, "B"), (1e6, "M")];
    let unit = units.iter().find(|(unit, _)| count as f64 > *unit);
    let &(unit, suffix) = unit.unwrap_or(&(1e3, "K"));
    let scaled = count as f64 / unit;
    let digits = match scaled.round_ties_even() as u64 {
        0 => 0,
        whole => whole.to_string().len(),
    };
    format!("{scaled:.*}{suffix}", 2usize.saturating_sub(digits))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_two_digits() {
        assert_eq!(rounded(1_235_814_400), "1.2B");
        assert_eq!(rounded(134_515_008), "135M");
        assert_eq!(rounded(70_000_000_000), "70B");
        assert_eq!(rounded(950), "0.9K");
        assert_eq!(rounded(30), "0.03K");
    }
}
