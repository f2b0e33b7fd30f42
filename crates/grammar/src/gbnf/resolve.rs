//! Tokens of a grammar looked up in a vocabulary.

use super::ast::{Node, Syntax, TokenRef};
use crate::{Error, Vocabulary};

/// The grammar with all tokens by their ids. Where a literal spells a control token, that token may
/// stand in its place, as in llama.cpp, which sees the texts of these tokens as well.
pub(crate) fn resolve(syntax: &Syntax, vocabulary: &Vocabulary) -> Result<Syntax, Error> {
    let rule = |(name, node): &(String, Node)| Ok((name.clone(), resolved(node, vocabulary)?));
    let rules = syntax.rules.iter().map(rule).collect::<Result<_, Error>>()?;
    Ok(Syntax { rules, root: syntax.root })
}

fn resolved(node: &Node, vocabulary: &Vocabulary) -> Result<Node, Error> {
    let all = |nodes: &[Node]| {
        nodes.iter().map(|node| resolved(node, vocabulary)).collect::<Result<Vec<_>, _>>()
    };
    Ok(match node {
        Node::Token { token, negated } => {
            let id = match token {
                TokenRef::Id(id) => *id,
                TokenRef::Text(text) => {
                    match vocabulary.tokenizer().encode(text, false, true)[..] {
                        [id] => id,
                        _ => return Err(Error::UnknownToken(text.clone())),
                    }
                }
            };
            if id as usize >= vocabulary.n_tokens() {
                return Err(Error::UnknownToken(format!("<[{id}]>")));
            }
            Node::Token { token: TokenRef::Id(id), negated: *negated }
        }
        Node::Text(text) => with_control_tokens(text, vocabulary),
        Node::Sequence(nodes) => Node::Sequence(all(nodes)?),
        Node::Choice(nodes) => Node::Choice(all(nodes)?),
        Node::Repeat { node, min, max } => {
            let node = Box::new(resolved(node, vocabulary)?);
            Node::Repeat { node, min: *min, max: *max }
        }
        Node::Class(_) | Node::Rule(_) => node.clone(),
    })
}

fn with_control_tokens(text: &str, vocabulary: &Vocabulary) -> Node {
    let mut nodes = Vec::new();
    let mut rest = text;
    while let Some((at, control, id)) = vocabulary.first_control_token(rest) {
        if at > 0 {
            nodes.push(Node::Text(rest[..at].to_owned()));
        }
        let token = Node::Token { token: TokenRef::Id(id), negated: false };
        nodes.push(Node::Choice(vec![Node::Text(control.to_owned()), token]));
        rest = &rest[at + control.len()..];
    }
    if nodes.is_empty() {
        return Node::Text(text.to_owned());
    }
    if !rest.is_empty() {
        nodes.push(Node::Text(rest.to_owned()));
    }
    Node::Sequence(nodes)
}
