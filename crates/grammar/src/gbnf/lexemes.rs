//! Which parts of a grammar can be lexemes.
//!
//! The lexer goes on with a lexeme as long as the text allows any that may come at this place. So
//! it goes astray exactly where a lexeme `a` could end and a byte that may follow it comes, while
//! some lexeme `b` goes on with that byte: `b` then has to be broken up.

use std::collections::HashSet;

use super::ast::Syntax;
use super::plan::{Body, Key, Lexeme, Plan, Symbol, key, plan as plan_with};
use super::regular::{Bytes, Expressions, Rules, add, intersect};
use crate::Error;

/// Pairs of lexemes to compare; beyond that, all parts are broken up.
const MAX_PAIRS: usize = 2000;

/// The grammar over lexemes that can't lead astray, together with `show` of it: the plan borrows
/// what is only known here.
pub(crate) fn plan<T>(syntax: &Syntax, show: impl FnOnce(&Plan) -> T) -> Result<T, Error> {
    let rules = Rules::new(syntax);
    let mut expressions = Expressions::new(&rules);
    let mut broken = HashSet::new();
    let mut pairs = 0;
    loop {
        let plan = plan_with(&rules, &broken, false);
        let Some(found) = astray(&plan, &mut expressions, &mut pairs)? else {
            return Ok(show(&plan_with(&rules, &broken, true)));
        };
        if found.is_empty() {
            return Ok(show(&plan));
        }
        broken.extend(found);
    }
}

/// The runs that have to be broken up; `None` where there is too much to compare.
fn astray(
    plan: &Plan,
    expressions: &mut Expressions,
    pairs: &mut usize,
) -> Result<Option<Vec<Key>>, Error> {
    // A text that is one lexeme ends nowhere else.
    let first: Vec<Bytes> = plan.lexemes.iter().map(|l| first_of(plan, *l)).collect();
    let follow = follow(plan, &first);
    let mut found = Vec::new();
    let mut made = vec![None; plan.lexemes.len()];
    for (b, lexeme) in plan.lexemes.iter().enumerate() {
        let Lexeme::Run(run) = *lexeme else { continue };
        if lexeme.is_one_char() {
            continue;
        }
        for a in 0..plan.lexemes.len() {
            if !intersect(&first[a], &first[b]) || follow[a] == [0; 8] {
                continue;
            }
            *pairs += 1;
            if *pairs > MAX_PAIRS {
                return Ok(None);
            }
            let mut expression = |at: usize| -> Result<_, Error> {
                if made[at].is_none() {
                    made[at] = Some(match plan.lexemes[at] {
                        Lexeme::Run(run) => expressions.nonempty(run)?,
                        Lexeme::Char(c) => {
                            let text = super::ast::Node::Text(c.to_string());
                            expressions.nonempty(&[text])?
                        }
                    });
                }
                Ok(made[at])
            };
            let (Some(one), Some(other)) = (expression(a)?, expression(b)?) else { continue };
            if expressions.may_go_on(one, &follow[a], other) {
                found.push(key(run));
                break;
            }
        }
    }
    Ok(Some(found))
}

fn first_of(plan: &Plan, lexeme: Lexeme) -> Bytes {
    match lexeme {
        Lexeme::Run(run) => plan.grammar.first(run),
        Lexeme::Char(c) => plan.grammar.first(&[super::ast::Node::Text(c.to_string())]),
    }
}

/// For each lexeme the bytes that may follow it.
fn follow(plan: &Plan, first: &[Bytes]) -> Vec<Bytes> {
    let sets = Sets::new(plan, first);
    let mut lexemes = vec![[0; 8]; plan.lexemes.len()];
    let mut rules = vec![[0; 8]; plan.rules.len()];
    loop {
        let before = (lexemes.clone(), rules.clone());
        for (id, body) in plan.rules.iter().enumerate() {
            let after = rules[id];
            for row in rows(body) {
                let mut next = after;
                if let Body::Repeat { .. } = body {
                    add(&mut next, &sets.first[id]);
                }
                for symbol in row.iter().rev() {
                    match symbol {
                        Symbol::Lexeme { lexeme, .. } => add(&mut lexemes[*lexeme], &next),
                        Symbol::Rule(rule) => add(&mut rules[*rule], &next),
                        Symbol::Token { .. } => {}
                    }
                    let (begins, nullable) = sets.of(symbol, first);
                    if nullable {
                        add(&mut next, &begins);
                    } else {
                        next = begins;
                    }
                }
            }
        }
        if before == (lexemes.clone(), rules.clone()) {
            return lexemes;
        }
    }
}

/// For each rule of a plan what it may begin with, and whether it allows nothing.
struct Sets {
    first: Vec<Bytes>,
    nullable: Vec<bool>,
}

impl Sets {
    fn new(plan: &Plan, lexemes: &[Bytes]) -> Self {
        let n = plan.rules.len();
        let mut sets = Self { first: vec![[0; 8]; n], nullable: vec![false; n] };
        loop {
            let before = (sets.first.clone(), sets.nullable.clone());
            for (id, body) in plan.rules.iter().enumerate() {
                let mut nullable = matches!(body, Body::Repeat { min: 0, .. });
                for row in rows(body) {
                    let mut all = true;
                    for symbol in row {
                        let (begins, may_be_empty) = sets.of(symbol, lexemes);
                        add(&mut sets.first[id], &begins);
                        all = may_be_empty;
                        if !all {
                            break;
                        }
                    }
                    nullable |= all;
                }
                sets.nullable[id] |= nullable;
            }
            if before == (sets.first.clone(), sets.nullable.clone()) {
                return sets;
            }
        }
    }

    fn of(&self, symbol: &Symbol, lexemes: &[Bytes]) -> (Bytes, bool) {
        match symbol {
            Symbol::Lexeme { lexeme, optional } => (lexemes[*lexeme], *optional),
            Symbol::Rule(rule) => (self.first[*rule], self.nullable[*rule]),
            // Tokens are told apart from text.
            Symbol::Token { .. } => ([0; 8], false),
        }
    }
}

fn rows(body: &Body) -> &[Vec<Symbol>] {
    match body {
        Body::Options(rows) => rows,
        Body::Repeat { row, .. } => std::slice::from_ref(row),
    }
}
