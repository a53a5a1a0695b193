//! A small SMTP server, for the program's tests and for those of `src/mail.rs`.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

/// Keeps what it took; refuses as often as it is told to, when it has read the mail.
pub(crate) struct Smtp {
    /// Where it listens: host and port.
    pub(crate) address: String,
    /// How many more mails are refused.
    pub(crate) refuse: Arc<AtomicU32>,
    taken: Arc<Mutex<Vec<Taken>>>,
}

/// A mail that was taken.
#[derive(Clone, Debug, Default)]
pub(crate) struct Taken {
    /// What the client said before.
    pub(crate) commands: Vec<String>,
    /// Headers and body.
    pub(crate) mail: String,
}

impl Smtp {
    pub(crate) fn start() -> Smtp {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (refuse, taken) = (Arc::new(AtomicU32::new(0)), Arc::new(Mutex::new(Vec::new())));
        let (refused, kept) = (Arc::clone(&refuse), Arc::clone(&taken));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut writer = stream.unwrap();
                let mut lines = BufReader::new(writer.try_clone().unwrap()).lines().map_while(Result::ok);
                let mut one = Taken::default();
                let mut say = |text: &str| drop(writer.write_all(format!("{text}\r\n").as_bytes()));
                say("220 test");
                while let Some(command) = lines.next() {
                    let verb = command.split([' ', ':']).next().unwrap().to_uppercase();
                    one.commands.push(command);
                    match verb.as_str() {
                        "EHLO" => say("250-test\r\n250-8BITMIME\r\n250 AUTH PLAIN"),
                        "AUTH" => say("235 welcome"),
                        "DATA" => {
                            say("354 go on");
                            let mail: Vec<String> = lines.by_ref().take_while(|line| line != ".").collect();
                            let left =
                                refused.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
                            if left.is_ok() {
                                say("451 not now\u{7}");
                            } else {
                                one.mail = mail.join("\n");
                                kept.lock().unwrap().push(one.clone());
                                say("250 taken");
                            }
                        }
                        "QUIT" => {
                            say("221 bye");
                            break;
                        }
                        _ => say("250 ok"),
                    }
                }
            }
        });
        Smtp { address, refuse, taken }
    }

    /// The mails that it took, first one first.
    pub(crate) fn taken(&self) -> Vec<Taken> {
        self.taken.lock().unwrap().clone()
    }
}

impl Taken {
    /// A header, unfolded.
    pub(crate) fn header(&self, name: &str) -> Option<String> {
        let headers = self.mail.split("\n\n").next().unwrap().replace("\n ", " ");
        headers.lines().find_map(|line| line.strip_prefix(&format!("{name}: "))).map(str::to_owned)
    }
}
