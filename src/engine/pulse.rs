//! Whether the engine still answers. A process that hangs (stopped, deadlocked) looks alive to the
//! kernel: only a statement that comes back proves otherwise.
//!
//! The child runs one trivial statement on a thread and connection of its own whenever it is asked at
//! `/alive`, so that neither full lanes nor long merges delay it. The parent asks now and then, and
//! counts only silence that it sat through itself. Knows nothing of who acts on it.

use std::sync::{Arc, mpsc};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

use crate::core::{EngineDoor, lines};

/// Where the child is asked.
pub(crate) const PATH: &str = "/alive";

/// How the parent asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PulseConfig {
    /// Pause between two questions.
    pub every: Duration,
    /// How long an answer may take.
    pub patience: Duration,
    /// After so many questions in a row without an answer the engine counts as hung.
    pub misses_max: u32,
}

impl Default for PulseConfig {
    /// Two minutes of silence: no honest engine is so busy that it cannot select a number.
    fn default() -> Self {
        Self { every: Duration::from_secs(5), patience: Duration::from_secs(10), misses_max: 8 }
    }
}

/// The child's side.
pub(crate) struct Pulse {
    wishes: mpsc::Sender<()>,
    beats: watch::Receiver<u64>,
}

impl Pulse {
    /// Starts the thread.
    pub(crate) fn start(door: Arc<EngineDoor>) -> std::io::Result<Self> {
        let (wishes, queue) = mpsc::channel();
        let (beat, beats) = watch::channel(0);
        std::thread::Builder::new().name("pulse".into()).stack_size(8 << 20).spawn(move || {
            while queue.recv().is_ok() {
                // One answer serves all who have asked meanwhile.
                while queue.try_recv().is_ok() {}
                // A refusal (of memory, say) is an answer too.
                if let Some(mut connection) = door.connect(Vec::new()) {
                    let _ = lines(&mut connection, "SELECT 1");
                }
                beat.send_modify(|number| *number += 1);
            }
        })?;
        Ok(Self { wishes, beats })
    }

    /// Completes when the engine has answered; never while it hangs.
    pub(crate) async fn beat(&self) {
        let mut beats = self.beats.clone();
        beats.mark_unchanged();
        if self.wishes.send(()).is_err() || beats.changed().await.is_err() {
            std::future::pending().await
        }
    }
}

/// The parent's side: completes when the engine at this port of ours has hung for too long.
pub(crate) async fn hung(port: u16, config: PulseConfig) {
    let mut misses = 0;
    while misses < config.misses_max {
        sleep(config.every).await;
        let asked = Instant::now();
        let answered = timeout(config.patience, ask(port)).await.unwrap_or(false);
        if answered {
            misses = 0;
            continue;
        }
        // Much later than agreed: it was we who slept (stopped, starved, suspended).
        if asked.elapsed() < config.patience * 2 {
            misses += 1;
            tracing::warn!(misses, of = config.misses_max, "the engine does not answer");
        }
    }
}

async fn ask(port: u16) -> bool {
    let answer = async {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
        stream.write_all(format!("GET {PATH} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").as_bytes()).await?;
        let mut head = [0; 12];
        stream.read_exact(&mut head).await?;
        std::io::Result::Ok(&head == b"HTTP/1.1 200")
    };
    answer.await.unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;

    fn quick() -> PulseConfig {
        PulseConfig { every: Duration::from_millis(5), patience: Duration::from_millis(50), misses_max: 3 }
    }

    // Scenario: an engine answers, is silent twice, answers again, refuses, then says nothing any more.
    // Guarantee: only silence in a row counts as hanging.
    #[tokio::test]
    async fn silence_in_a_row_is_hanging() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (told, mut asked) = tokio::sync::mpsc::unbounded_channel();
        tokio::spawn(async move {
            let mut held = Vec::new();
            for answers in [true, false, false, true, false, false, true].into_iter().chain(std::iter::repeat(false)) {
                let (mut stream, _) = listener.accept().await.unwrap();
                let _ = told.send(());
                if answers {
                    let _ = stream.read(&mut [0; 1024]).await;
                    let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await;
                }
                held.push(stream);
            }
        });
        hung(port, quick()).await;
        asked.close();
        let mut count = 0;
        while asked.recv().await.is_some() {
            count += 1;
        }
        assert_eq!(count, 10);
    }
}
