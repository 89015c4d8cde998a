//! A few calls to RabbitMQ's management API, over a bare socket.
//!
//! Enough for tests: virtual hosts, and a look at a queue past our own code. HTTP/1.0 and one
//! connection for each call, so that no client library enters the dependencies for it.

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// The management API of one broker.
#[derive(Debug, Clone)]
pub struct Management {
    authority: String,
    user: String,
    password: String,
}

impl Management {
    /// Takes `http://user:password@host:port`.
    pub(super) fn new(url: &str) -> Self {
        let read = || {
            let (login, authority) = url.strip_prefix("http://")?.split_once('@')?;
            let (user, password) = login.split_once(':')?;
            Some((authority.trim_end_matches('/'), user, password))
        };
        let (authority, user, password) =
            read().unwrap_or_else(|| panic!("{url} is not http://user:password@host:port"));
        Self { authority: authority.into(), user: user.into(), password: password.into() }
    }

    pub(super) async fn create_virtual_host(&self, name: &str) {
        self.call("PUT", &format!("/api/vhosts/{name}"), &json!({})).await;
        let all = json!({"configure": ".*", "write": ".*", "read": ".*"});
        self.call("PUT", &format!("/api/permissions/{name}/{}", self.user), &all).await;
    }

    pub(super) async fn delete_virtual_host(&self, name: &str) {
        // Another test process may have swept it first: 404 is as good as 204.
        self.try_call("DELETE", &format!("/api/vhosts/{name}"), &Value::Null).await;
    }

    pub(super) async fn virtual_hosts(&self) -> Vec<String> {
        let all = self.call("GET", "/api/vhosts", &Value::Null).await;
        let names = all.as_array().into_iter().flatten();
        names.filter_map(|host| Some(host["name"].as_str()?.to_owned())).collect()
    }

    /// Takes up to `most` messages out of a queue and puts them back, as JSON of the API.
    ///
    /// # Panics
    /// When the API refuses.
    pub async fn peek(&self, virtual_host: &str, queue: &str, most: u32) -> Vec<Value> {
        let ask = json!({"count": most, "ackmode": "reject_requeue_true", "encoding": "auto"});
        let path = format!("/api/queues/{virtual_host}/{queue}/get");
        self.call("POST", &path, &ask).await.as_array().cloned().unwrap_or_default()
    }

    /// Calls the API below `/api/…` and returns its JSON answer, `Null` for an empty one.
    ///
    /// # Panics
    /// When the API refuses.
    pub async fn call(&self, method: &str, path: &str, body: &Value) -> Value {
        let (status, answer) = self.try_call(method, path, body).await;
        assert!((200..300).contains(&status), "{method} {path}: status {status}: {answer}");
        answer
    }

    async fn try_call(&self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let request = format!(
            "{method} {path} HTTP/1.0\r\nHost: {}\r\nAuthorization: Basic {}\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            self.authority,
            base64(format!("{}:{}", self.user, self.password).as_bytes()),
            body.len(),
        );
        let exchange = async {
            let mut stream = TcpStream::connect(&self.authority).await?;
            stream.write_all(request.as_bytes()).await?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await?;
            Ok::<_, std::io::Error>(answer)
        };
        let answer = exchange.await.unwrap_or_else(|e| panic!("{method} {path}: {e}"));
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
        let status = status.unwrap_or_else(|| panic!("{method} {path}: not HTTP: {head}"));
        (status, serde_json::from_str(body).unwrap_or(Value::Null))
    }
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let group = (0..3).fold(0_u32, |sum, i| sum << 8 | u32::from(*chunk.get(i).unwrap_or(&0)));
        for place in 0..4 {
            let digit = DIGITS[(group >> (18 - 6 * place) & 63) as usize];
            text.push(if place <= chunk.len() { char::from(digit) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_pads_to_groups_of_four() {
        for (plain, text) in
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("guest:guest", "Z3Vlc3Q6Z3Vlc3Q=")]
        {
            assert_eq!(base64(plain.as_bytes()), text);
        }
    }
}
