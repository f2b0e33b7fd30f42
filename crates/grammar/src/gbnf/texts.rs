//! Texts that grammars of usual kinds take and refuse.

use crate::testing::{takes, vocabulary};
use crate::{Constraint, Grammar};

/// A grammar, texts that it takes, and texts that it refuses.
type Case = (&'static str, &'static [&'static str], &'static [&'static str]);

const CASES: &[Case] = &[
    // Sums, one to a line, with spaces where they are usual.
    (
        r#"root ::= (sum "=" gap atom "\n")+
sum ::= atom ([-+*/] atom)*
atom ::= name | digits | "(" gap sum ")" gap
name ::= [a-z] [a-z0-9_]* gap
digits ::= [0-9]+ gap
gap ::= [ \t\n]*"#,
        &["1=2\n", "a_1 +2*( b -3) = 9\n", "x=1\n\n", "((7)) = 7\ny /2 = z\n"],
        &["1=2", "1+ 1=2\n", "1+=2\n", "(1=2\n", "A=1\n", "_a=1\n", "1 2=3\n", "", "= 1\n"],
    ),
    // Functions of a language like C.
    (
        r#"root ::= function*
function ::= type name "(" (type name)? ")" "{" line* "}"
type ::= ("int" | "float") gap
name ::= [a-zA-Z_] [a-zA-Z_0-9]*
line ::= (type name gap "=" gap value ";") | (name gap "=" gap value ";") | ("return" gap value ";") |
  ("while" "(" test ")" "{" line* "}") | note | ("/*" ([^*] | "*" [^/])* "*/")
test ::= value ("<=" | "<" | "==") value
value ::= part (("+" | "-") part)*
part ::= name | number | "-" part | name "(" (value ("," gap value)*)? ")" | "(" gap value gap ")"
number ::= [0-9]+
note ::= "//" [^\n]* "\n"
gap ::= [ \t\n]+"#,
        &[
            "",
            "int f(){}",
            "int f(int a){return a+1;}float g(){}",
            "int  f(){int x = g(1, -2);// ok\nwhile(x<=10){x = x-( 1 );}/* a*b */return x;}",
        ],
        &["int f()", "int f(){x=1;}", "f(){}", "int 1f(){}", "int f(){return 1}", "int f(){// x}"],
    ),
    // Moves of chess in pairs.
    (
        r#"root ::= "1. " move " " move "\n" ([1-9] [0-9]? ". " move " " move "\n")+
move ::= (pawn | piece | "O-O" "-O"?) [+#]?
piece ::= [NBKQR] [a-h]? [1-8]? "x"? [a-h] [1-8]
pawn ::= ([a-h] "x")? [a-h] [1-8] ("=" [NBKQR])?"#,
        &["1. e4 e5\n2. Nf3 Nc6\n", "1. d4 d5\n42. exd8=Q+ O-O-O#\n9. Rad1 O-O\n"],
        &["1. e4 e5\n", "1. e4\n2. d4 d5\n", "1. e9 e5\n2. a3 a6\n", "2. e4 e5\n3. a3 a6\n"],
    ),
    // Words of ASCII, parted by single spaces.
    (
        r##"root ::= sign+ ([ \t\n] sign+)*
sign ::= [a-zA-Z] | [0-9] | [!"#$%&'()*+,-./:;<=>?@[\\\]^_`{|}~]"##,
        &["a", "Say \"hi\" [twice]\nto 2 of {them}: -\\-", "a\tb", "~"],
        &["", " a", "a ", "a  b", "caf\u{e9}", "a\r\nb"],
    ),
    // Words of Japanese.
    (
        "root ::= word ([ \\t\\n] word)*\nword ::= (hira | kata | [、-〾] | [一-鿿])+\n\
         hira ::= [ぁ-ゟ]\nkata ::= [\\u30A1-\\U000030FF]",
        &["こんにちは", "日本 の\nカタカナ。", "、", "ヿ"],
        &["", "abc", "日本a", "日本  の", "ＡＢ", "한국"],
    ),
    // JSON, with escapes, numbers and spaces as they are usual.
    (
        r#"root ::= object
value ::= object | array | string | number | ("true" | "false" | "null") gap
object ::= "{" gap (
  string ":" gap value # the first
  ("," gap string ":" gap value)*
)? "}" gap
array ::= "[" gap (value ("," gap value)*)? "]" gap
string ::= "\"" ([^"\\\x7F\x00-\x1F] | "\\" (["\\bfnrt] | "u" [0-9a-fA-F]{4}))* "\"" gap
number ::= ("-"? ([0-9] | [1-9] [0-9]{0,15})) ("." [0-9]+)? ([eE] [-+]? [0-9] [0-9]{0,15})? gap
gap ::= | " " | "\n" [ \t]{0,4}"#,
        &[
            "{}",
            "{\"a\": [1, -2.5e+10, \"\\u00e9\\n\u{65e5}\"],\n  \"b\":{\"c\":null} }",
            "{\"\":true}",
            "{\"n\":1234567890123456}",
        ],
        &[
            "[]",
            "{\"a\"}",
            "{\"a\":01}",
            "{\"a\":\"\\x\"}",
            "{\"a\":\"\\u12g4\"}",
            "{\"a\":1,}",
            "{\"a\":\"\n\"}",
            "{\"n\":12345678901234567}",
            "{  }",
            "{\"a\":1}}",
        ],
    ),
    // A list of lines, none of which may hold another end of a line.
    (
        r#"root ::= item+
item ::= "- " [^\r\n\x0b\x0c\x85\u2028\u2029]+ "\n""#,
        &["- a\n", "- one two\n- 日本 - \"3\"\n", "- - \n"],
        &["", "- \n", "-a\n", "- a", "- a\n\n", "- a\r\n", "- a\u{85}b\n", "- a\u{2028}\n"],
    ),
    // What repetitions, any character, and empty parts say.
    ("root ::= . .{2} \"é\"{1,2}", &["abcé", "日\n\0éé"], &["abé", "abcdé", "abcééé", "abc"]),
    ("root ::= \"a\"{0} \"b\"{2,} [^] \"\"", &["bb", "bbbb"], &["b", "abb", "bbc"]),
    ("root ::= [a\\-c-] [\\]\\[] [\\x41-\\x43]", &["-]B", "a[A", "c]C"], &["b]A", "a-A", "a]D"]),
];

#[test]
fn grammars_of_usual_kinds_take_and_refuse_what_they_should() {
    let vocabulary = vocabulary();
    for (text, taken, refused) in CASES {
        let grammar = Grammar::gbnf(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        let constraint = Constraint::new(&grammar, &vocabulary).expect("a simple grammar");
        for text in *taken {
            assert!(takes(&constraint, text), "refuses {text:?}\n{grammar:?}");
        }
        for text in *refused {
            assert!(!takes(&constraint, text), "takes {text:?}\n{grammar:?}");
        }
    }
}
