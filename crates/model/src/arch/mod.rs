//! The architectures: one file each, one row each in [`ARCHITECTURES`].

mod prelude;

mod afmoe;
mod apertus;
mod arcee;
mod arctic;
mod baichuan;
mod bailing;
mod bailing3;
mod bert;
mod bitnet;
mod bloom;
mod chameleon;
mod clef;
mod cohere;
mod dbrx;
mod deci;
mod deepseek2;
mod deepseek32;
mod deepseek4;
mod dflash;
mod dots3note;
mod eagle3;
mod exaone4;
mod falcon;
mod falcon_h1;
mod gemma;
mod gemma3n;
mod gemma4;
mod gemma4_assistant;
mod glm4;
mod glm5_next;
mod gpt2;
mod gpt_oss;
mod gptneox;
mod granite;
mod granite_hybrid;
mod granite_switch;
mod grok;
mod grovemoe;
mod hrm;
mod hunyuan;
mod hy_v4;
mod jais;
mod jamba;
mod kimi;
mod kimi_k3;
mod laguna;
mod lfm2;
mod llama;
mod llama4;
mod mamba;
mod maple;
mod mellum;
mod mimo2;
mod minicpm3;
mod minimax;
mod minimax_01;
mod minimax_m3;
mod modern_bert;
mod mpt;
mod muse_glimmer;
mod nanbeige;
mod nemotron;
mod nemotron_h;
mod neo_bert;
mod olmo;
mod phi2;
mod phi3;
mod plamo;
mod plamo2;
mod plamo3;
mod pockettts;
mod qrwkv;
mod qwen;
mod qwen4exp;
mod qwen_next;
mod refact;
mod rwkv;
mod seed_oss;
mod smallthinker;
mod smollm3;
mod spark;
mod stablelm;
mod step35;
mod t5;
mod talkie;
mod wavtokenizer;

use std::sync::Arc;

use gguf::Gguf;

use crate::Model;
use crate::error::Error;
use crate::source::Source;

type Load = fn(&Source<'_>) -> Result<Arc<dyn Model>, Error>;

/// `general.architecture` and its loader, in alphabetical order.
const ARCHITECTURES: &[(&str, Load)] = &[
    ("afmoe", afmoe::load),
    ("apertus", apertus::load),
    ("arcee", arcee::load),
    ("arctic", arctic::load),
    ("arwkv7", qrwkv::load_7),
    ("baichuan", baichuan::load),
    ("bailingmoe", bailing::load),
    ("bailingmoe2", qwen::load_3_routed),
    ("bailingmoe3", bailing3::load),
    ("bert", bert::load),
    ("bitnet", bitnet::load),
    ("bloom", bloom::load),
    ("chameleon", chameleon::load),
    ("chatglm", glm4::load_chatglm),
    ("clef", clef::load),
    ("codeshell", gptneox::load_in_a_row),
    ("cogvlm", qwen::load_cogvlm),
    ("cohere2", cohere::load_2),
    ("cohere2moe", cohere::load_2_moe),
    ("command-r", cohere::load),
    ("dbrx", dbrx::load),
    ("deci", deci::load),
    ("deepseek", llama::load_deepseek),
    ("deepseek2", deepseek2::load),
    ("deepseek2-ocr", qwen::load_deepseek_ocr),
    ("deepseek32", deepseek32::load),
    ("deepseek4", deepseek4::load),
    ("dflash", dflash::load),
    ("dots1", qwen::load_3_routed),
    ("dots3note", dots3note::load),
    ("dream", qwen::load_dream),
    ("eagle3", eagle3::load),
    ("ernie4_5", llama::load),
    ("ernie4_5-moe", llama::load),
    ("eurobert", qwen::load_eurobert),
    ("exaone", qwen::load_2),
    ("exaone-moe", exaone4::load_moe),
    ("exaone4", exaone4::load),
    ("falcon", falcon::load),
    ("falcon-h1", falcon_h1::load),
    ("gemma", gemma::load),
    ("gemma-embedding", gemma::load_embedding),
    ("gemma2", gemma::load_2),
    ("gemma3", gemma::load_3),
    ("gemma3n", gemma3n::load),
    ("gemma4", gemma4::load),
    ("gemma4-assistant", gemma4_assistant::load),
    ("glm-dsa", deepseek32::load_glm),
    ("glm4", glm4::load),
    ("glm4moe", glm4::load_moe),
    ("glm5-next", glm5_next::load),
    ("gpt-oss", gpt_oss::load),
    ("gpt2", gpt2::load),
    ("gptneox", gptneox::load),
    ("granite", granite::load),
    ("granite_swa", granite::load_sliding),
    ("granitehybrid", granite_hybrid::load),
    ("granitemoe", granite::load),
    ("graniteswitch", granite_switch::load),
    ("grok", grok::load),
    ("grovemoe", grovemoe::load),
    ("hrm_text", hrm::load),
    ("hunyuan-dense", hunyuan::load),
    ("hunyuan-moe", hunyuan::load_moe),
    ("hunyuan_vl", hunyuan::load),
    ("hy_v3", qwen::load_3_routed),
    ("hy_v4", hy_v4::load),
    ("internlm2", llama::load),
    ("jais", jais::load),
    ("jais2", nemotron::load),
    ("jamba", jamba::load),
    ("jina-bert-v2", bert::load_alibi),
    ("jina-bert-v3", bert::load_rotary),
    ("kimi-k3", kimi_k3::load),
    ("kimi-linear", kimi::load),
    ("laguna", laguna::load),
    ("lfm2", lfm2::load),
    ("lfm2moe", lfm2::load),
    ("llada", llama::load_diffusion),
    ("llada-moe", qwen::load_llada_moe),
    ("llama", llama::load),
    ("llama-embed", llama::load_embedding),
    ("llama4", llama4::load),
    ("maincoder", hunyuan::load_maincoder),
    ("mamba", mamba::load_1),
    ("mamba2", mamba::load_2),
    ("maple", maple::load),
    ("mellum", mellum::load),
    ("mimo2", mimo2::load),
    ("minicpm", granite::load_minicpm),
    ("minicpm3", minicpm3::load),
    ("minimax-01", minimax_01::load),
    ("minimax-m2", minimax::load),
    ("minimax-m3", minimax_m3::load),
    ("mistral3", llama::load),
    ("mistral4", deepseek2::load_mistral),
    ("modern-bert", modern_bert::load),
    ("mpt", mpt::load),
    ("muse-glimmer", muse_glimmer::load),
    ("nanbeige", nanbeige::load),
    ("nemotron", nemotron::load),
    ("nemotron_h", nemotron_h::load),
    ("nemotron_h_moe", nemotron_h::load),
    ("neo-bert", neo_bert::load),
    ("nomic-bert", bert::load_rotary),
    ("nomic-bert-moe", bert::load_rotary),
    ("olmo", olmo::load),
    ("olmo2", olmo::load_2),
    ("olmoe", olmo::load_moe),
    ("openelm", qwen::load_3),
    ("orion", stablelm::load),
    ("paddleocr", qwen::load_2_vl),
    ("pangu-embedded", qwen::load_2),
    ("phi2", phi2::load),
    ("phi3", phi3::load),
    ("phimoe", phi3::load),
    ("plamo", plamo::load),
    ("plamo2", plamo2::load),
    ("plamo3", plamo3::load),
    ("plm", minicpm3::load_plm),
    ("pockettts", pockettts::load),
    ("qwen", qwen::load_2),
    ("qwen2", qwen::load_2),
    ("qwen2moe", qwen::load_2_moe),
    ("qwen2vl", qwen::load_2_vl),
    ("qwen3", qwen::load_3),
    ("qwen35", qwen_next::load_3_5),
    ("qwen35moe", qwen_next::load_3_5_moe),
    ("qwen3moe", qwen::load_3_moe),
    ("qwen3next", qwen_next::load_3_next),
    ("qwen3tts", qwen::load_3_vl),
    ("qwen3vl", qwen::load_3_vl),
    ("qwen3vlmoe", qwen::load_3_vl),
    ("qwen4exp", qwen4exp::load),
    ("refact", refact::load),
    ("rnd1", qwen::load_rnd1),
    ("rwkv6", rwkv::load_6),
    ("rwkv6qwen2", qrwkv::load_6),
    ("rwkv7", rwkv::load_7),
    ("seed_oss", seed_oss::load),
    ("smallthinker", smallthinker::load),
    ("smollm3", smollm3::load),
    ("spark2_5", spark::load),
    ("stablelm", stablelm::load),
    ("starcoder", gpt2::load),
    ("starcoder2", gptneox::load_in_a_row),
    ("step35", step35::load),
    ("t5", t5::load),
    ("t5encoder", t5::load_encoder),
    ("talkie", talkie::load),
    ("wavtokenizer-dec", wavtokenizer::load),
    ("xverse", llama::load),
];

/// Names of all supported architectures.
pub fn supported() -> impl Iterator<Item = &'static str> {
    ARCHITECTURES.iter().map(|&(name, _)| name)
}

/// Loads the model in `gguf`; its weights stay in the mapped file.
pub fn load(gguf: &Gguf) -> Result<Arc<dyn Model>, Error> {
    let name = gguf.metadata().str("general.architecture")?;
    let Some((_, load)) = ARCHITECTURES.iter().find(|(known, _)| *known == name) else {
        return Err(Error::UnknownArchitecture { name: name.to_owned(), nearest: nearest(name) });
    };
    load(&Source::new(gguf)?)
}

/// The known name with the smallest edit distance, if that is under half of the name's length.
fn nearest(name: &str) -> Option<&'static str> {
    let (distance, known) =
        supported().map(|known| (edit_distance(name, known), known)).min_by_key(|&(d, _)| d)?;
    (distance * 2 < name.chars().count()).then_some(known)
}

/// Levenshtein distance of two short names.
fn edit_distance(a: &str, b: &str) -> usize {
    let a: Vec<char> = a.chars().take(64).collect();
    let mut row: Vec<usize> = (0..=a.len()).collect();
    for (i, cb) in b.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, &ca) in a.iter().enumerate() {
            let substituted = diagonal + usize::from(ca != cb);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[a.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearest_name_is_close_or_none() {
        assert_eq!(nearest("gema4"), Some("gemma4"));
        assert_eq!(nearest("lama"), Some("llama"));
        assert_eq!(nearest("unheard-of-architecture"), None);
        assert_eq!(edit_distance("kitten", "sitting"), 3);
    }
}
