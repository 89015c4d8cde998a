//! Users with exactly what the shipped files give them, on the servers of a test: the files' names are
//! replaced by those of the test's namespace and virtual host, and nothing else.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;

use leveret_common::testkit::services::{self, VirtualHost};
use serde_json::{Value, json};

const TOPOLOGY: &str = include_str!("../../../../docker/rabbitmq/topology.json");
const USERS: &str = include_str!("../../../../docker/rabbitmq/users.json");
const ACL: &str = include_str!("../../../../docker/redis/users.acl");
const SETINFO: &str = "client|setinfo";
const PASSWORD: &str = "secret";
/// Roles of ours; who only enqueues has no business in the store.
pub(super) const ROLES: [&str; 4] = ["gateway", "beat", "worker", "relay"];

/// Everything that the files declare, for one test. The users go when it is dropped.
pub(super) struct Users {
    namespace: String,
    host: VirtualHost,
    store: String,
    api: String,
    http: reqwest::Client,
}

impl Users {
    /// Makes exchanges, queues and users.
    pub(super) async fn make(namespace: &str, host: VirtualHost, store: String, api: &str) -> Self {
        let api = services::variable(api).unwrap();
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let users = Self { namespace: namespace.to_owned(), host, store, api, http };
        users.declare().await;
        users.admit().await;
        for line in ACL.lines().filter(|line| !line.starts_with("user default ")) {
            let rule = users.rule(line);
            // Redis 7.0 has no such command, and refuses a rule that names it.
            if users.redis().say(&rule).contains(SETINFO) {
                users.redis().ask(&rule.replace(&format!(" +{SETINFO}"), ""));
            }
        }
        users
    }

    /// Puts exchanges, queues and bindings in as the broker does at its start.
    async fn declare(&self) {
        let text = TOPOLOGY.replace("\"leveret.", &format!("\"{}.", self.namespace));
        let mut whole: Value = serde_json::from_str(&text).unwrap();
        whole.as_object_mut().unwrap().remove("vhosts");
        for things in whole.as_object_mut().unwrap().values_mut() {
            for thing in things.as_array_mut().unwrap() {
                thing.as_object_mut().unwrap().remove("vhost");
            }
        }
        let path = format!("/api/definitions/{}", self.host.name);
        self.host.management.call("POST", &path, &whole).await;
    }

    async fn admit(&self) {
        let whole: Value = serde_json::from_str(USERS).unwrap();
        for user in whole["users"].as_array().unwrap() {
            assert_eq!(user["tags"], json!([]), "{user}");
            // The tag lets a user speak to the API, where it may do what it may do elsewhere.
            let body = json!({"password": PASSWORD, "tags": "management"});
            let path = format!("/api/users/{}", self.name(user["name"].as_str().unwrap()));
            self.host.management.call("PUT", &path, &body).await;
        }
        for right in whole["permissions"].as_array().unwrap() {
            assert_eq!(right["vhost"], "leveret", "{right}");
            let mut body = json!({});
            for way in ["configure", "write", "read"] {
                let pattern = right[way].as_str().unwrap();
                body[way] = pattern.replace("leveret\\.", &format!("{}\\.", self.namespace)).into();
            }
            let user = self.name(right["user"].as_str().unwrap());
            let path = format!("/api/permissions/{}/{user}", self.host.name);
            self.host.management.call("PUT", &path, &body).await;
        }
    }

    /// Makes a line of the file a command for this test's user and namespace.
    fn rule(&self, line: &str) -> String {
        let role = line.split(' ').nth(1).unwrap();
        line.replacen(&format!("user {role}"), &format!("ACL SETUSER {} reset", self.name(role)), 1)
            .replace(&format!("#@{role}@"), &format!(">{PASSWORD}"))
            .replace("~leveret:", &format!("~{}:", self.namespace))
    }

    fn name(&self, role: &str) -> String {
        format!("{}-{role}", self.namespace)
    }

    /// Returns the arguments that have a role log in as its user.
    pub(super) fn login(&self, role: &str) -> [String; 4] {
        let (user, login) = (self.name(role), "guest:guest@");
        let broker = self.host.url.replacen(login, &format!("{user}:{PASSWORD}@"), 1);
        let store = self.store.replacen("redis://", &format!("redis://{user}:{PASSWORD}@"), 1);
        ["--broker-url".into(), broker, "--store-url".into(), store]
    }

    /// Has a user do something at the broker; returns whether it may.
    pub(super) async fn may(&self, role: &str, method: &str, path: &str, body: Value) -> bool {
        let path = path.replace("NS.", &format!("{}.", self.namespace));
        let url = {
            let (_, authority) = self.api.split_once('@').unwrap();
            let (thing, rest) = path.split_once('/').unwrap();
            format!("http://{authority}/api/{thing}/{}/{rest}", self.host.name)
        };
        let method = method.parse().unwrap();
        let request = self.http.request(method, &url).basic_auth(self.name(role), Some(PASSWORD));
        let request = if body.is_null() { request } else { request.json(&body) };
        let answer = request.send().await.unwrap();
        let (status, said) = (answer.status(), answer.text().await.unwrap());
        let is_refused = said.contains("ACCESS_REFUSED") || status.as_u16() == 401;
        assert!(is_refused || status.is_success(), "{role}: {url}: {status} {said}");
        !is_refused
    }

    /// Has a user say something to the store; returns the first line of the answer.
    pub(super) fn says(&self, role: &str, command: &str) -> String {
        let mut redis = self.redis();
        redis.ask(&format!("AUTH {} {PASSWORD}", self.name(role)));
        redis.say(&command.replace("NS:", &format!("{}:", self.namespace)))
    }

    /// Lists what the store has refused to users of this test.
    pub(super) fn refused(&self) -> Vec<String> {
        let mut redis = self.redis();
        redis.send("ACL LOG 128");
        redis.send("PING");
        let mut words: Vec<String> = Vec::new();
        while words.last().is_none_or(|word| word != "+PONG") {
            words.push(redis.line());
        }
        let entries = words.split(|word| word == "count" || word.ends_with("entry-id"));
        let ours = |entry: &&[String]| entry.iter().any(|word| word.starts_with(&self.name("")));
        entries.filter(ours).map(|entry| entry.join(" ")).collect()
    }

    fn redis(&self) -> Redis {
        Redis::connect(&self.store)
    }
}

impl Drop for Users {
    fn drop(&mut self) {
        for role in ROLES {
            self.redis().ask(&format!("ACL DELUSER {}", self.name(role)));
        }
        let (management, users) = (
            self.host.management.clone(),
            ["gateway", "beat", "worker", "relay", "enqueuer"].map(|role| self.name(role)),
        );
        let gone = async move {
            for user in users {
                management.call("DELETE", &format!("/api/users/{user}"), &Value::Null).await;
            }
        };
        // A drop cannot wait on the test's own runtime.
        let runtime = || tokio::runtime::Runtime::new().unwrap().block_on(gone);
        std::thread::spawn(runtime).join().unwrap();
    }
}

/// A connection to the store that speaks its inline form.
struct Redis(BufReader<TcpStream>);

impl Redis {
    fn connect(url: &str) -> Self {
        let address = url.trim_start_matches("redis://").trim_end_matches('/');
        Self(BufReader::new(TcpStream::connect(address).unwrap()))
    }

    fn send(&mut self, command: &str) {
        self.0.get_mut().write_all(format!("{command}\r\n").as_bytes()).unwrap();
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    fn say(&mut self, command: &str) -> String {
        self.send(command);
        self.line()
    }

    #[track_caller]
    fn ask(&mut self, command: &str) {
        let answer = self.say(command);
        assert!(!answer.starts_with('-'), "{command}: {answer}");
    }
}
