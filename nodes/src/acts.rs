//! What is done to a broker that runs: alarms, lost connections, lost queues; and what it holds.

use std::time::Duration;

use crate::broker::{Alarm, Broker, DISK_LIMIT, QueueState};
use crate::error::Error;

/// The expression that lists the queues whose names begin with `Prefix`.
const QUEUES: &str = include_str!("queues.erl");

impl Broker {
    /// Raises an alarm, or ends it.
    ///
    /// # Errors
    /// When `rabbitmqctl` fails, or the broker does not say that it is so.
    ///
    /// # Cancel safety
    /// The alarm may be raised, or ended, all the same.
    pub async fn set_alarm(&self, alarm: Alarm, raised: bool) -> Result<(), Error> {
        self.control(match (alarm, raised) {
            (Alarm::Memory, true) => &["set_vm_memory_high_watermark", "0.0001"],
            (Alarm::Memory, false) => &["set_vm_memory_high_watermark", "0.9"],
            (Alarm::Disk, true) => &["set_disk_free_limit", "900000GB"],
            (Alarm::Disk, false) => &["set_disk_free_limit", DISK_LIMIT],
        })
        .await?;
        let resource = match alarm {
            Alarm::Memory => "memory",
            Alarm::Disk => "disk",
        };
        // Its monitors look again each second or less often.
        let is_so = format!(
            "Holds = fun Look(0) -> false;
                         Look(Times) ->
                             case lists:any(fun({{{{_, Which, _}}, _}}) -> Which =:= {resource};
                                               (_) -> false end, rabbit_alarm:get_alarms()) of
                                 {raised} -> true;
                                 _ -> timer:sleep(20), Look(Times - 1)
                             end
                     end, Holds(750)."
        );
        if self.ask(&is_so).await? == "true" {
            return Ok(());
        }
        let what = if raised { "was not raised" } else { "does not end" };
        Err(Error::unexpected(format!("the {resource} alarm"), what))
    }

    /// Closes every connection of clients, as an operator does; returns how many there were.
    ///
    /// # Errors
    /// When the broker does not answer.
    ///
    /// # Cancel safety
    /// They may be closed all the same.
    pub async fn close_connections(&self, reason: &str) -> Result<u64, Error> {
        let reason = quoted(reason);
        let closed = self
            .ask(&format!(
                "length([rabbit_networking:close_connection(Connection, {reason})
                         || Connection <- rabbit_networking:connections()])."
            ))
            .await?;
        number("closed connections", &closed)
    }

    /// Returns how many connections of clients it has.
    ///
    /// # Errors
    /// When the broker does not answer.
    ///
    /// # Cancel safety
    /// Safe: it only looks.
    pub async fn connections(&self) -> Result<u64, Error> {
        let open = self.ask("length(rabbit_networking:connections()).").await?;
        number("connections", &open)
    }

    /// Returns what each queue holds now, by the word of its leader.
    ///
    /// # Errors
    /// When the broker, or the leader of a queue, does not answer.
    ///
    /// # Cancel safety
    /// Safe: it only looks.
    pub async fn queues(&self) -> Result<Vec<QueueState>, Error> {
        self.queues_of("").await
    }

    /// Returns what each queue holds now whose name begins so, by the word of its leader.
    ///
    /// # Errors
    /// When the broker, or the leader of a queue, does not answer.
    ///
    /// # Cancel safety
    /// Safe: it only looks.
    pub async fn queues_of(&self, prefix: &str) -> Result<Vec<QueueState>, Error> {
        let listed = self.ask(&format!("Prefix = {},\n{QUEUES}", quoted(prefix))).await?;
        let read = |line: &str| {
            let mut parts = line.split('\t');
            let name = parts.next()?.to_owned();
            let numbers: Vec<u64> = parts.map(|part| part.parse().ok()).collect::<Option<_>>()?;
            let [ready, unacked, leaving, consumers, index] = numbers.try_into().ok()?;
            Some(QueueState { name, ready, unacked, leaving, consumers, index })
        };
        let queues = listed.lines().map(read).collect::<Option<_>>();
        queues.ok_or_else(|| Error::unexpected("RabbitMQ", format!("lists its queues as {listed}")))
    }

    /// Tells whether the register of quorum queues on disk names all that there are. The broker writes it
    /// half a second after a change; killed before that, it forgets the queue and what it confirmed
    /// for it.
    ///
    /// # Errors
    /// When the broker, or the leader of a queue, does not answer.
    ///
    /// # Cancel safety
    /// Safe: it only looks.
    pub async fn has_written_its_queues(&self) -> Result<bool, Error> {
        let queues = self.queues().await?;
        // Not there before the first queue is.
        let written = std::fs::read(self.register()).unwrap_or_default();
        let written = String::from_utf8_lossy(&written);
        Ok(queues.iter().all(|queue| queue.index == 0 || written.contains(&queue.name)))
    }

    /// Deletes a queue with what it holds; the server cancels those who consume it.
    ///
    /// # Errors
    /// When there is none of this name.
    ///
    /// # Cancel safety
    /// It may be deleted all the same.
    pub async fn delete_queue(&self, name: &str) -> Result<(), Error> {
        self.control(&["delete_queue", name]).await.map(drop)
    }

    /// Sets how long the broker waits for an ack before it closes the channel, and how often it
    /// looks. It counts for channels that are opened from now on, until the broker is started again.
    ///
    /// # Errors
    /// When the broker does not answer.
    ///
    /// # Cancel safety
    /// It may be set all the same.
    pub async fn set_consumer_timeout(&self, patience: Duration) -> Result<(), Error> {
        let (patience, looks) = (patience.as_millis(), (patience / 10).as_millis().max(100));
        let set = format!(
            "ok = application:set_env(rabbit, consumer_timeout, {patience}),
             ok = application:set_env(rabbit, channel_tick_interval, {looks})."
        );
        self.ask(&set).await.map(drop)
    }
}

/// Returns a text as Erlang writes a binary.
fn quoted(text: &str) -> String {
    let bytes: Vec<String> = text.bytes().map(|byte| byte.to_string()).collect();
    format!("<<{}>>", bytes.join(","))
}

fn number(of: &str, text: &str) -> Result<u64, Error> {
    text.parse().map_err(|_| Error::unexpected("RabbitMQ", format!("says {text} of its {of}")))
}
