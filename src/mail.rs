//! Mails about incidents: where they are handed in, and how one is put together. What stands in them was written by the
//! systems that are watched, so no text becomes a header but by `lettre`, which encodes it.

use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use ::watch::{Notice, email};
use lettre::address::Address;
use lettre::message::header::{ContentType, Header, HeaderName, HeaderValue, MIME_VERSION_1_0};
use lettre::message::{Mailbox, MessageBuilder};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Tls, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use lettre::{SmtpTransport, Transport};
use percent_encoding::percent_decode_str;
use twox_hash::XxHash64;
use url::{Host, Url};

/// Where a server is, if the URL does not say: implicit TLS, mail of users, mail of servers.
const PORTS: (u16, u16, u16) = (465, 587, 25);
/// Who sends, and what ids end with, when no address of the sender is given: a host's name may change.
const SENDER: &str = "hypocenter";
/// Characters of a server's answer that are told.
const REASON_MAX: usize = 300;

/// Where mails are handed in, and from whom they are.
#[derive(Clone, Debug)]
pub(crate) struct Mailer {
    server: String,
    port: u16,
    encryption: Encryption,
    credentials: Option<Credentials>,
    from: Mailbox,
    // What the ids of messages end with.
    id_domain: String,
}

/// Whether a connection is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Encryption {
    /// From the first byte.
    Always,
    /// By STARTTLS, or nothing is sent.
    Required,
    /// By STARTTLS where it is offered. Who could read along could also take the offer away, so certificates do not matter.
    Offered,
    /// Never.
    None,
}

#[derive(Clone)]
struct AutoSubmitted;

impl Mailer {
    /// From `notify.smtp` and `notify.from`.
    ///
    /// # Errors
    /// The key that is wrong, and why; the URL, which may hold a password, is not repeated.
    pub(crate) fn new(url: &str, from: &str) -> Result<Mailer, (&'static str, String)> {
        let smtp = |reason: &str| ("notify.smtp", reason.to_owned());
        let parsed = Url::parse(url).map_err(|error| {
            smtp(&format!("is no URL such as smtp://user:password@mail.example.com:587 ({error}); in user and password, write / as %2F, # as %23, ? as %3F, % as %25"))
        })?;
        let (server, is_loopback) = match parsed.host() {
            // Of a scheme that the standard does not know, addresses stay text.
            Some(Host::Domain(name)) => match name.parse::<IpAddr>() {
                Ok(address) => (name.to_owned(), address.is_loopback()),
                Err(_) => (name.to_owned(), name == "localhost"),
            },
            Some(Host::Ipv4(address)) => (address.to_string(), address.is_loopback()),
            Some(Host::Ipv6(address)) => (address.to_string(), address.is_loopback()),
            None => return Err(smtp("names no host; it begins with smtp:// or smtps://")),
        };
        if parsed.path().len() > 1 || parsed.fragment().is_some() {
            return Err(smtp("has a path; in user and password, write / as %2F and # as %23"));
        }
        let credentials = match (parsed.username(), parsed.password()) {
            ("", None) => None,
            ("", Some(_)) | (_, None) => {
                return Err(smtp("has a user without a password, or a password without a user"));
            }
            (user, Some(password)) => {
                let plain = |text| percent_decode_str(text).decode_utf8().map(String::from);
                let credentials = plain(user).and_then(|user| Ok(Credentials::new(user, plain(password)?)));
                Some(credentials.map_err(|_| smtp("has a user or password that is not UTF-8"))?)
            }
        };
        let encryption = match (parsed.scheme(), parsed.query()) {
            ("smtps", None) => Encryption::Always,
            ("smtp", Some("tls=required")) => Encryption::Required,
            ("smtp", Some("tls=none")) => Encryption::None,
            // A password is not for those who read along.
            ("smtp", None) if credentials.is_some() && !is_loopback => Encryption::Required,
            ("smtp", None) => Encryption::Offered,
            ("smtp" | "smtps", _) => {
                return Err(smtp("knows tls=required and tls=none after smtp://, and nothing else"));
            }
            _ => return Err(smtp("begins with smtp:// or smtps://")),
        };
        let usual_port = match encryption {
            Encryption::Always => PORTS.0,
            _ if credentials.is_some() => PORTS.1,
            _ => PORTS.2,
        };
        let (from, id_domain) = match from {
            "" => (sender_of_this_host(), SENDER.to_owned()),
            given => {
                let from: Mailbox = given.parse().map_err(|_| {
                    let reason = "is an address such as hypocenter@example.com or Hypocenter <hypocenter@example.com>";
                    ("notify.from", format!("{reason}, not `{given}`"))
                })?;
                let domain = from.email.domain().to_owned();
                (from, domain)
            }
        };
        Ok(Mailer { server, port: parsed.port().unwrap_or(usual_port), encryption, credentials, from, id_domain })
    }

    /// Hands in a mail for the address `to`, waiting for no step longer than `step_max`. It blocks.
    ///
    /// # Errors
    /// What the server answered, or why there is no answer, in one line.
    pub(crate) fn send(
        &self,
        (tenant, notice, base): (&str, &Notice, &str),
        to: &str,
        step_max: Duration,
    ) -> Result<(), String> {
        let to = Mailbox::new(None, to.parse().map_err(|_| "the address is none".to_owned())?);
        let mail = email(notice, base);
        let id = |id: &str| message_id(id, tenant, &self.id_domain);
        let written = Duration::from_nanos(notice.at_ns.max(0).unsigned_abs());
        let mut message = MessageBuilder::new()
            .from(self.from.clone())
            .to(to)
            .subject(mail.subject)
            .date(SystemTime::UNIX_EPOCH + written)
            .message_id(Some(id(&mail.id)))
            .header(AutoSubmitted)
            .header(MIME_VERSION_1_0)
            .header(ContentType::TEXT_PLAIN);
        if mail.thread != mail.id {
            message = message.in_reply_to(id(&mail.thread)).references(id(&mail.thread));
        }
        let tenant = if tenant.is_empty() { String::new() } else { format!("Tenant {tenant}\n") };
        let message = message.body(format!("{}{tenant}", mail.body)).map_err(|error| error.to_string())?;
        let sent = self.transport(step_max).and_then(|transport| transport.send(&message));
        sent.map(drop).map_err(|error| one_line(&error.to_string()))
    }

    fn transport(&self, step_max: Duration) -> Result<SmtpTransport, lettre::transport::smtp::Error> {
        let parameters = || TlsParameters::builder(self.server.clone());
        let mut transport = SmtpTransport::builder_dangerous(self.server.as_str())
            .port(self.port)
            .timeout(Some(step_max))
            .tls(match self.encryption {
                Encryption::Always => Tls::Wrapper(parameters().build()?),
                Encryption::Required => Tls::Required(parameters().build()?),
                Encryption::Offered => {
                    let unchecked = parameters().dangerous_accept_invalid_certs(true);
                    Tls::Opportunistic(unchecked.dangerous_accept_invalid_hostnames(true).build()?)
                }
                Encryption::None => Tls::None,
            });
        if let Some(credentials) = &self.credentials {
            transport = transport.credentials(credentials.clone());
        }
        Ok(transport.build())
    }
}

impl Header for AutoSubmitted {
    fn name() -> HeaderName {
        HeaderName::new_from_ascii_str("Auto-Submitted")
    }

    fn parse(_: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(AutoSubmitted)
    }

    fn display(&self) -> HeaderValue {
        HeaderValue::new(Self::name(), "auto-generated".to_owned())
    }
}

/// Whether `text` is the address of a mailbox, without a name.
pub(crate) fn is_address(text: &str) -> bool {
    text.parse::<Address>().is_ok()
}

fn sender_of_this_host() -> Mailbox {
    let host = match ClientId::default() {
        ClientId::Domain(name) => name,
        _ => "localhost".to_owned(),
    };
    let address = Address::new(SENDER, host).unwrap_or_else(|_| Address::new_dangerous(SENDER, "localhost"));
    Mailbox::new(Some("Hypocenter".to_owned()), address)
}

// The same for a message however often it is sent; incidents of different tenants may have the same name.
fn message_id(id: &str, tenant: &str, domain: &str) -> String {
    let plain: String = id.chars().filter(|letter| letter.is_ascii_alphanumeric() || *letter == '-').collect();
    if tenant.is_empty() {
        return format!("<{plain}@{domain}>");
    }
    format!("<{plain}.{:016x}@{domain}>", XxHash64::oneshot(0, tenant.as_bytes()))
}

// A server may answer with anything.
fn one_line(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).take(REASON_MAX).collect()
}

#[cfg(test)]
#[path = "../tests/it/smtp.rs"]
mod smtp;

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use super::smtp::Smtp;
    use super::*;
    use crate::notify_queue::tests::waiting;

    const STEP_MAX: Duration = Duration::from_secs(10);

    // Scenario: servers and senders as people write them, right and wrong.
    // Guarantee: what is meant is understood, a password leaves only encrypted or for this host; what is wrong is refused
    // by its key, and no password is told.
    #[test]
    fn servers_and_senders() {
        use Encryption::{Always, None, Offered, Required};
        for (url, server, port, encryption) in [
            ("smtp://mail.example.com", "mail.example.com", 25, Offered),
            ("smtp://127.0.0.1:2525", "127.0.0.1", 2525, Offered),
            ("smtp://[::1]", "::1", 25, Offered),
            ("smtp://u:secret@mail.example.com", "mail.example.com", 587, Required),
            ("smtp://u:secret@127.0.0.1", "127.0.0.1", 587, Offered),
            ("smtp://u:secret@mail.example.com:25?tls=none", "mail.example.com", 25, None),
            ("smtp://mail.example.com?tls=required", "mail.example.com", 25, Required),
            ("smtps://u%40example.com:sec%2Fret@mail.example.com/", "mail.example.com", 465, Always),
        ] {
            let mailer = Mailer::new(url, "").unwrap();
            assert_eq!(
                (mailer.server.as_str(), mailer.port, mailer.encryption, mailer.credentials.is_some()),
                (server, port, encryption, url.contains('@')),
                "{url}"
            );
            assert!(!format!("{mailer:?}").contains("secret"), "{mailer:?}");
            assert_eq!(mailer.from.email.user(), "hypocenter");
        }
        let decoded = Mailer::new("smtps://u%40example.com:sec%2Fret@mail.example.com", "").unwrap().credentials;
        assert_eq!(decoded, Some(Credentials::new("u@example.com".to_owned(), "sec/ret".to_owned())));
        for (url, from, key, part) in [
            ("mail.example.com:25", "", "notify.smtp", "smtp://"),
            ("http://u:secret@mail.example.com", "", "notify.smtp", "smtp://"),
            ("smtp://u:sec#ret@mail.example.com", "", "notify.smtp", "%23"),
            ("smtp://u:sec/secret@mail.example.com", "", "notify.smtp", "%2F"),
            ("smtp://u@mail.example.com", "", "notify.smtp", "without a password"),
            ("smtp://:secret@mail.example.com", "", "notify.smtp", "without a user"),
            ("smtp://mail.example.com?tls=maybe", "", "notify.smtp", "tls=required"),
            ("smtps://mail.example.com?tls=none", "", "notify.smtp", "tls=required"),
            ("smtp://u:%ff@mail.example.com", "", "notify.smtp", "UTF-8"),
            ("smtp://mail.example.com", "nobody", "notify.from", "`nobody`"),
            ("smtp://mail.example.com", "a@b.c\r\nBcc: d@e.f", "notify.from", "address"),
        ] {
            let (found, reason) = Mailer::new(url, from).unwrap_err();
            assert!(
                found == key && reason.contains(part) && !reason.contains("secret"),
                "{url} {from}: {found} {reason}"
            );
        }
    }

    // Scenario: a message whose title, text and tenant hold line breaks, headers, markup and letters of the world, and the
    // one that follows on it.
    // Guarantee: the mail has our headers and no others; its id is the same for a repeat and another for another tenant; the
    // second mail refers to the first; the server was told the password, and one receiver.
    #[test]
    fn mails_hold_their_headers() {
        let server = Smtp::start();
        let mailer =
            Mailer::new(&format!("smtp://u:secret@{}", server.address), "Wächter <watch@example.com>").unwrap();
        let mut notice = waiting("", 2).message.notice;
        notice.at_ns = 1_764_331_260_000_000_000;
        notice.title = "zahlung-für: <b> \r\nBcc: evil@example.com\r\n\r\nhello 支付".to_owned();
        notice.text = format!("one\r\n.\r\nQUIT\r\n{}", "é".repeat(3_000));
        let send = |notice: &Notice, tenant: &str| {
            mailer.send((tenant, notice, "https://h.example"), "ops@example.com", STEP_MAX).unwrap();
            server.taken().pop().unwrap()
        };
        let mail = send(&notice, "");
        let headers = mail.mail.split("\n\n").next().unwrap();
        let mut names: Vec<&str> =
            headers.lines().filter(|line| !line.starts_with(' ')).map(|line| line.split(':').next().unwrap()).collect();
        names.sort_unstable();
        let wanted = [
            "Auto-Submitted",
            "Content-Transfer-Encoding",
            "Content-Type",
            "Date",
            "From",
            "In-Reply-To",
            "MIME-Version",
            "Message-ID",
            "References",
            "Subject",
            "To",
        ];
        assert_eq!(names, wanted, "{headers}");
        assert!(mail.mail.is_ascii() && mail.mail.lines().all(|line| line.len() <= 998), "{}", mail.mail);
        let header = |name: &str| mail.header(name).unwrap();
        assert_eq!((header("To"), header("Auto-Submitted")), ("ops@example.com".into(), "auto-generated".into()));
        assert_eq!(header("Date"), "Fri, 28 Nov 2025 12:01:00 +0000");
        assert_eq!((header("Message-ID"), header("References")), ("<a-2@example.com>".into(), header("In-Reply-To")));
        assert!(header("Subject").contains("=?utf-8?b?"), "{headers}");
        let said = mail.commands.join("\n");
        assert!(said.contains("AUTH PLAIN ") && said.contains("MAIL FROM:<watch@example.com>"), "{said}");
        assert_eq!(said.matches("RCPT TO:<ops@example.com>").count(), 1, "{said}");

        assert_eq!(send(&notice, "").header("Message-ID"), Some(header("Message-ID")));
        let other = send(&notice, "blue\r\nBcc: evil@example.com");
        assert!(other.header("Message-ID") != Some(header("Message-ID")) && other.header("Bcc").is_none(), "{other:?}");
        notice.id = "a-opened-1".to_owned();
        let first = send(&notice, "");
        assert_eq!((first.header("Message-ID"), first.header("References")), (Some(header("References")), None));
    }

    // Scenario: a server that refuses for now, one without STARTTLS where it is required, none at all, a strange address.
    // Guarantee: each is an error in one line, to be tried again; without encryption nothing is told.
    #[test]
    fn refusals_are_told() {
        let server = Smtp::start();
        server.refuse.store(1, Ordering::SeqCst);
        let notice = waiting("", 1).message.notice;
        let send = |url: &str, to: &str| {
            let mailer = Mailer::new(url, "").unwrap();
            mailer.send(("", &notice, "https://h.example"), to, STEP_MAX)
        };
        let url = format!("smtp://{}", server.address);
        let refused = send(&url, "ops@example.com").unwrap_err();
        assert!(refused.contains("451") && refused.contains("not now") && !refused.contains('\u{7}'), "{refused}");
        assert!(send(&format!("smtp://u:secret@{}?tls=required", server.address), "ops@example.com").is_err());
        assert!(send(&url, "nobody").is_err());
        assert_eq!(server.taken().len(), 0);
        send(&url, "ops@example.com").unwrap();
        assert_eq!(server.taken().len(), 1);
        let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        assert!(send(&format!("smtp://{gone}"), "ops@example.com").unwrap_err().contains("refused"));
    }
}
