//! Notices in the forms of their receivers. `base` is the address at which users reach this server.

use serde_json::{Value, json};

use crate::notice::{Notice, NoticeKind};

/// Slack's limit for a header, and one below its limit for a section.
const HEADER_MAX: usize = 150;
const SECTION_MAX: usize = 2_900;
/// An alert without an end is taken for over after some minutes; this long it may last without being sent again.
const LASTS_NS: i64 = 24 * 3_600 * 1_000_000_000;

/// An email, without its addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Email {
    /// `Message-ID` without a domain.
    pub id: String,
    /// That of the first mail of the incident, which makes its mails a thread.
    pub thread: String,
    /// Subject: one line, no control characters.
    pub subject: String,
    /// Body: plain text, lines end with a line feed.
    pub body: String,
}

/// For any receiver: all that is known.
pub fn webhook(notice: &Notice, base: &str) -> Value {
    json!({
        "id": notice.id,
        "incident": notice.incident,
        "kind": notice.kind.code(),
        "number": notice.number,
        "at": time(notice.at_ns),
        "started_at": time(notice.started_ns),
        "ended_at": (notice.ended_ns > 0).then(|| time(notice.ended_ns)),
        "suspect": (!notice.suspect.is_empty()).then_some(&notice.suspect),
        "rule": (!notice.rule.is_empty()).then_some(&notice.rule),
        "services": notice.services,
        "title": notice.title,
        "text": notice.text,
        "url": link(notice, base),
    })
}

/// For Slack's incoming webhooks, and those that understand them.
pub fn slack(notice: &Notice, base: &str) -> Value {
    let mark = match notice.kind {
        NoticeKind::Opened => ":red_circle:",
        NoticeKind::Updated => ":large_orange_circle:",
        NoticeKind::Closed => ":white_check_mark:",
    };
    let url = link(notice, base);
    json!({
        "text": format!("{mark} {} {}", escape(&notice.title), url),
        "blocks": [
            {"type": "header", "text": {"type": "plain_text", "text": cut(&notice.title, HEADER_MAX), "emoji": false}},
            {"type": "section", "text": {"type": "mrkdwn", "text": cut(&escape(&notice.text), SECTION_MAX)}},
            {"type": "context", "elements": [
                {"type": "mrkdwn", "text": format!("{mark} <{url}|{}> since {}", escape(&notice.incident), time(notice.started_ns))}
            ]},
        ],
    })
}

/// For Alertmanager's `POST /api/v2/alerts`. The labels never change within an incident: they are its identity there.
pub fn alertmanager(notice: &Notice, base: &str) -> Value {
    let ends_ns = if notice.ended_ns > 0 { notice.ended_ns } else { notice.at_ns.saturating_add(LASTS_NS) };
    let mut labels = json!({"alertname": "HypocenterIncident", "incident": notice.incident});
    if !notice.opened_as.is_empty() {
        labels["service"] = json!(notice.opened_as);
    }
    if !notice.rule.is_empty() {
        labels["rule"] = json!(notice.rule);
    }
    json!([{
        "labels": labels,
        "annotations": {
            "summary": notice.title,
            "description": notice.text,
            "suspect": notice.suspect,
            "notice": notice.id,
        },
        "startsAt": time(notice.started_ns),
        "endsAt": time(ends_ns.max(notice.started_ns)),
        "generatorURL": link(notice, base),
    }])
}

/// For SMTP.
pub fn email(notice: &Notice, base: &str) -> Email {
    let clean =
        |text: &str| text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect::<String>();
    let mut body = format!("{}\n\n{}\n\n{}\n", notice.title, notice.text, link(notice, base));
    body.push_str(&format!("Since {}\n", time(notice.started_ns)));
    if notice.ended_ns > 0 {
        body.push_str(&format!("Until {}\n", time(notice.ended_ns)));
    }
    Email {
        id: notice.id.clone(),
        thread: notice.first_id(),
        subject: cut(&clean(&format!("[Hypocenter] {}", notice.title)), 200),
        body: body.chars().filter(|letter| *letter == '\n' || !letter.is_control()).collect(),
    }
}

fn link(notice: &Notice, base: &str) -> String {
    format!("{}{}", base.trim_end_matches('/'), notice.path)
}

// What Slack reads as markup, and nothing else, has to be escaped.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

// Never within an escape: one is 5 characters at most.
fn cut(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let mut cut: String = text.chars().take(most - 1).collect();
    if let Some(at) = cut.rfind('&').filter(|at| cut.len() - at < 6 && !cut[*at..].contains(';')) {
        cut.truncate(at);
    }
    cut.push('…');
    cut
}

// RFC 3339. A time that no calendar has is told as the epoch.
fn time(ns: i64) -> String {
    jiff::Timestamp::from_nanosecond(i128::from(ns)).unwrap_or_default().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notice(kind: NoticeKind) -> Notice {
        Notice {
            id: "a-opened-1".to_owned(),
            incident: "a".to_owned(),
            kind,
            number: 1,
            at_ns: 1_764_331_260_000_000_000,
            started_ns: 1_764_331_200_000_000_000,
            ended_ns: if kind == NoticeKind::Closed { 1_764_331_500_000_000_000 } else { 0 },
            suspect: "pay".to_owned(),
            opened_as: "pay".to_owned(),
            rule: String::new(),
            services: vec!["pay".to_owned()],
            title: "pay: <script> & \"x\"\r\nBcc: a@b".to_owned(),
            text: format!("first\n{}", "&".repeat(5_000)),
            path: "/incidents/a".to_owned(),
        }
    }

    // Scenario: a notice whose texts hold markup, a header injection, and too much.
    // Guarantee: every form escapes and bounds it in its way, and links to the incident.
    #[test]
    fn forms_escape_and_bound() {
        let opened = notice(NoticeKind::Opened);
        let slack = slack(&opened, "https://h.example/base/");
        let section = slack["blocks"][1]["text"]["text"].as_str().unwrap();
        assert!(section.chars().count() <= 3_000 && section.ends_with("&amp;…"), "{}", &section[section.len() - 20..]);
        assert!(slack["text"].as_str().unwrap().contains("&lt;script&gt; &amp;"));
        assert!(slack["blocks"][0]["text"]["text"].as_str().unwrap().chars().count() <= 150);
        assert!(slack.to_string().contains("https://h.example/base/incidents/a"));
        let mail = email(&opened, "https://h.example");
        assert!(!mail.subject.contains(['\r', '\n']) && mail.subject.contains("Bcc"));
        assert_eq!((mail.id.as_str(), mail.thread.as_str()), ("a-opened-1", "a-opened-1"));
        assert!(!mail.body.contains('\r') && mail.body.contains("https://h.example/incidents/a\n"));
        let sent = webhook(&opened, "https://h.example");
        assert_eq!((&sent["id"], &sent["ended_at"]), (&"a-opened-1".into(), &Value::Null));
        assert_eq!(sent["started_at"], "2025-11-28T12:00:00Z");
    }

    // Scenario: an incident opens and closes.
    // Guarantee: Alertmanager sees one alert: equal labels, an end far off, then the real one.
    #[test]
    fn alerts_keep_their_identity() {
        let [opened, closed] =
            [NoticeKind::Opened, NoticeKind::Closed].map(|kind| alertmanager(&notice(kind), "https://h.example"));
        assert_eq!(opened[0]["labels"], closed[0]["labels"]);
        assert_eq!(opened[0]["startsAt"], closed[0]["startsAt"]);
        assert_eq!(opened[0]["endsAt"], "2025-11-29T12:01:00Z");
        assert_eq!(closed[0]["endsAt"], "2025-11-28T12:05:00Z");
    }
}
