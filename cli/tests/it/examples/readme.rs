//! What a README says to type, and what it says one sees.
//!
//! Blocks of `sh` are typed one after the other. What else such a block's first line says is not
//! shown to a reader: `once` prepares the machine and is not run here, `terminal` runs on while the
//! next ones are typed (`terminal 7878`: they wait until that port answers), `fails` does not
//! succeed. A block of `text` is what the last one printed, with `…` for what differs each time. The
//! comment `<!-- Ctrl-C in terminal 1 -->` stands where the reader is told to stop what runs there.

/// One step of a README.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// What runs on in a terminal of its own; and the port at which it answers.
    Terminal { script: String, port: Option<u16> },
    /// A terminal's program is stopped; of those that run, the first one is 1.
    CtrlC(usize),
    /// What is typed, whether it succeeds, and what it prints where the README says so.
    Typed { script: String, succeeds: bool, prints: Option<String> },
}

/// Reads the steps of a README.
pub(super) fn steps(readme: &str) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut lines = readme.lines();
    while let Some(line) = lines.next() {
        if let Some(rest) = line.strip_prefix("<!-- Ctrl-C in terminal ") {
            let number = rest.strip_suffix(" -->").and_then(|number| number.parse().ok());
            steps.push(Step::CtrlC(number.expect("the number of a terminal, from 1")));
        }
        let Some(head) = line.strip_prefix("```") else { continue };
        let body: Vec<_> = lines.by_ref().take_while(|line| *line != "```").collect();
        block(head, format!("{}\n", body.join("\n")), &mut steps);
    }
    steps
}

fn block(head: &str, body: String, steps: &mut Vec<Step>) {
    match head.split(' ').collect::<Vec<_>>()[..] {
        ["sh", "once"] => {}
        ["sh", "terminal"] => steps.push(Step::Terminal { script: body, port: None }),
        ["sh", "terminal", port] => {
            let port = Some(port.parse().expect("a port"));
            steps.push(Step::Terminal { script: body, port });
        }
        ["sh"] => steps.push(Step::Typed { script: body, succeeds: true, prints: None }),
        ["sh", "fails"] => steps.push(Step::Typed { script: body, succeeds: false, prints: None }),
        ["text"] => match steps.last_mut() {
            Some(Step::Typed { prints: prints @ None, .. }) => *prints = Some(body),
            last => panic!("nothing was typed that prints {body:?}, but {last:?}"),
        },
        ["toml" | "python" | "rust" | "json"] => {}
        _ => panic!("what is a block of {head:?}?"),
    }
}

/// Tells whether a text is as the README says: `…` stands for anything.
pub(super) fn is_as_said(said: &str, text: &str) -> bool {
    let pieces: Vec<_> = said.split('…').map(str::trim).collect();
    let text = text.trim();
    let [first, middle @ .., last] = &pieces[..] else { return said.trim() == text };
    let between = text.strip_prefix(first).and_then(|rest| rest.strip_suffix(last));
    let found =
        |rest: &str, piece: &&str| rest.split_once(*piece).map(|(_, after)| after.to_owned());
    between.is_some_and(|rest| {
        middle.iter().try_fold(rest.to_owned(), |rest, piece| found(&rest, piece)).is_some()
    })
}

#[test]
fn a_readme_is_read_as_its_steps() {
    let readme = "# X\n\n```sh once\ninstall\n```\n```sh terminal 7878\nserve\n```\n\nType\n\n```sh\nask\nagain\n```\n\n\
                  ```text\nan … answer\n```\n```toml\nx = 1\n```\nStop it.\n\n<!-- Ctrl-C in terminal 1 -->\n\n```sh fails\nbad\n```\n";
    let typed = |script: &str, succeeds, prints: Option<&str>| Step::Typed {
        script: script.to_owned(),
        succeeds,
        prints: prints.map(str::to_owned),
    };
    let expected = [
        Step::Terminal { script: "serve\n".to_owned(), port: Some(7878) },
        typed("ask\nagain\n", true, Some("an … answer\n")),
        Step::CtrlC(1),
        typed("bad\n", false, None),
    ];
    assert_eq!(steps(readme), expected);
}

#[test]
fn what_is_printed_is_compared_with_what_is_said() {
    for (said, text) in [
        ("a b", "a b\n"),
        ("a … c", "a b c"),
        ("a …", "a b\nc"),
        ("… c", "a c b c"),
        ("a … c … e", "a b c d e"),
        ("a\n…\nc", "a\nb\nb\nc\n"),
    ] {
        assert!(is_as_said(said, text), "{said:?} {text:?}");
    }
    for (said, text) in
        [("a b", "a c"), ("a … c", "a b"), ("a … c", "a c d"), ("a", "a b"), ("… b … d", "a d b")]
    {
        assert!(!is_as_said(said, text), "{said:?} {text:?}");
    }
}
