//! The tables of docs/security.md, as they are read. Knows no server.

/// The three tables.
#[derive(Debug)]
pub struct Matrix {
    pub requests: Vec<Request>,
    pub credentials: Vec<Credential>,
    pub callers: Vec<Caller>,
}

#[derive(Debug)]
pub struct Request {
    pub method: String,
    pub path: String,
    pub headers: Vec<String>,
    pub kind: Kind,
    pub answer: u16,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Guarded,
    Health,
    Preflight,
    Probe,
}

#[derive(Debug)]
pub struct Credential {
    pub headers: Vec<String>,
    /// 0 is none, 1 a good one, 2 a bad one: the place in a cell. 3 is a stale one.
    pub counts_as: usize,
}

#[derive(Debug)]
pub struct Caller {
    pub name: String,
    pub server: String,
    pub reached_at: String,
    pub http_1_0: bool,
    pub headers: Vec<String>,
    pub guarded: [Cell; 3],
    pub health: [Cell; 3],
    pub preflight: [Cell; 3],
}

/// What one cell of the matrix says for one credential.
#[derive(Debug, Clone, Copy)]
pub struct Cell {
    /// `None`: what the request is answered when it is let in.
    pub status: Option<u16>,
    pub readable_by_its_page: bool,
}

impl Matrix {
    /// Reads the page.
    pub fn read() -> Self {
        let page = include_str!("../../docs/security.md");
        let matrix = Self {
            requests: table(page, "### Requests").map(Request::read).collect(),
            credentials: table(page, "### Credentials")
                .map(Credential::read)
                .collect(),
            callers: table(page, "### Callers").map(Caller::read).collect(),
        };
        let sizes = (
            matrix.requests.len(),
            matrix.credentials.len(),
            matrix.callers.len(),
        );
        assert!(
            sizes.0 >= 20 && sizes.1 >= 20 && sizes.2 >= 50,
            "the tables have shrunk: {sizes:?}"
        );
        matrix
    }
}

impl Request {
    fn read(cells: Vec<&str>) -> Self {
        let [request, kind, answer] = cells[..] else {
            panic!("not three cells: {cells:?}")
        };
        let mut said = codes(request);
        let (method, path) = said
            .remove(0)
            .split_once(' ')
            .map(|(m, p)| (m.to_owned(), p.to_owned()))
            .expect("a method and a path");
        let kind = match kind {
            "guarded" => Kind::Guarded,
            "health" => Kind::Health,
            "preflight" => Kind::Preflight,
            "probe" => Kind::Probe,
            other => panic!("no such kind of request: {other}"),
        };
        Self {
            method,
            path,
            headers: said,
            kind,
            answer: answer.parse().expect("a status"),
        }
    }
}

impl Credential {
    fn read(cells: Vec<&str>) -> Self {
        let [credential, counts_as] = cells[..] else {
            panic!("not two cells: {cells:?}")
        };
        let headers = codes(credential);
        assert!(
            !headers.is_empty() || credential == "nothing",
            "no header in {credential}"
        );
        let counts_as = ["none", "good", "bad", "stale"]
            .iter()
            .position(|name| *name == counts_as)
            .expect("none, good, bad or stale");
        Self { headers, counts_as }
    }
}

impl Caller {
    fn read(cells: Vec<&str>) -> Self {
        let [server, reached_at, says, guarded, health, preflight] = cells[..] else {
            panic!("not six cells: {cells:?}")
        };
        let mut headers = codes(says);
        let http_1_0 = headers.first().is_some_and(|first| first == "HTTP/1.0");
        if http_1_0 {
            headers.remove(0);
        }
        if says == "no `Host`" {
            headers.clear();
        }
        Self {
            name: format!("{server} at {reached_at}: {says}"),
            server: server.to_owned(),
            reached_at: reached_at.trim_matches('`').to_owned(),
            http_1_0,
            headers,
            guarded: cells_of(guarded),
            health: cells_of(health),
            preflight: cells_of(preflight),
        }
    }
}

/// The body rows of the table below a heading, cell by cell.
fn table<'a>(page: &'a str, heading: &str) -> impl Iterator<Item = Vec<&'a str>> {
    let (_, rest) = page.split_once(heading).expect("the heading is there");
    rest.lines()
        .skip_while(|line| !line.starts_with('|'))
        .take_while(|line| line.starts_with('|'))
        .skip(2)
        .map(|line| line.trim_matches('|').split('|').map(str::trim).collect())
}

/// What stands between backquotes.
pub fn codes(cell: &str) -> Vec<String> {
    cell.split('`')
        .skip(1)
        .step_by(2)
        .map(str::to_owned)
        .collect()
}

fn cells_of(cell: &str) -> [Cell; 3] {
    let answers: Vec<Cell> = cell
        .split('/')
        .map(|answer| {
            let answer = answer.trim();
            let (status, readable_by_its_page) = match answer.strip_suffix('+') {
                Some(status) => (status, true),
                None => (answer, false),
            };
            let status = (status != "in").then(|| status.parse().expect("a status or `in`"));
            Cell {
                status,
                readable_by_its_page,
            }
        })
        .collect();
    answers.try_into().expect("three answers in a cell")
}
