//! Clients that ask a liar: what they get, and what whoever asks next gets.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use tokio::{net::TcpStream, time::timeout};

use super::{
    house::{House, Plan},
    judge::{Seen, lossy},
    liar::Liar,
    lies::{Lie, Outcome, To},
    reader::{Client, Got},
    recorder::echo,
};

const PATIENCE: Duration = Duration::from_secs(30);

/// How the lies are told and heard.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Way {
    /// Of the client: `1.1` or `1.0`.
    pub(crate) version: &'static str,
    /// The liar's bytes come in pieces of so many.
    pub(crate) pieces: usize,
}

/// Asks for one lie after the other, and fails with all that went wrong.
pub(crate) async fn listen(lies: Vec<Lie>, way: Way) {
    let House { address, upstream, running, .. } = Plan::usual().open().await;
    let count = lies.len();
    let liar = Arc::new(Liar::default());
    let mut problems = Vec::new();
    let all = async {
        let mut bystander = tcp(address).await;
        for (number, lie) in lies.iter().enumerate() {
            let heard = hear(&liar, lie, number, way, address, &mut bystander).await;
            if let Err(problem) = heard {
                problems.push(format!("{} (to {:?}): {problem}", lie.name, lie.to));
                bystander = tcp(address).await;
            }
        }
        drop(bystander);
        assert!(running.unwrap().drain(Duration::from_secs(20)).await, "no clean end");
    };
    Arc::clone(&liar).serve(&upstream, all).await;
    problems.append(&mut liar.wrong.lock().unwrap());
    assert!(
        problems.is_empty(),
        "{} problems with {count} lies, {way:?}:\n{}",
        problems.len(),
        problems.iter().take(40).map(String::as_str).collect::<Vec<_>>().join("\n")
    );
}

/// One lie: its own client, which goes on if it can, and a bystander that asks right after it.
async fn hear(
    liar: &Liar,
    lie: &Lie,
    number: usize,
    way: Way,
    address: SocketAddr,
    bystander: &mut Client<TcpStream>,
) -> Result<(), String> {
    truth(bystander, &format!("/before-{number}")).await?;
    let connections = liar.connections();
    let target = format!("/lie-{number}");
    let meeting = liar.will_tell(&target, lie, way.pieces);
    let mut client = tcp(address).await;
    client.write(request(lie.to, &target, way.version).as_bytes()).await;
    let stays = outcome(&mut client, lie, way).await?;
    meeting.heard.add_permits(1);
    let told = timeout(PATIENCE, meeting.told.acquire()).await;
    told.map_err(|_elapsed| "the liar never came to an end")?.unwrap().forget();
    if stays {
        truth(&mut client, &format!("/after-{number}")).await?;
    }
    truth(bystander, &format!("/beside-{number}")).await?;
    if lie.clean && liar.connections() != connections {
        return Err("a connection was given up without need".to_owned());
    }
    Ok(())
}

fn request(to: To, target: &str, version: &str) -> String {
    let (method, length, body) = match to {
        To::Get => ("GET", "", ""),
        To::Head => ("HEAD", "", ""),
        To::Put => ("PUT", "Content-Length: 5\r\n", "hello"),
        To::HalfAPut => ("PUT", "Content-Length: 10\r\n", "hello"),
    };
    format!("{method} {target} HTTP/{version}\r\nHost: localhost:9000\r\n{length}\r\n{body}")
}

/// Checks what the client got; whether its connection stays.
async fn outcome(client: &mut Client<TcpStream>, lie: &Lie, way: Way) -> Result<bool, String> {
    let got = client.answer(lie.to == To::Head).await?;
    let closes = match (&got, &lie.outcome) {
        (Got::Whole(answer), Outcome::Right(status, body)) => {
            if answer.field("x-cos-auth-proxy-error").is_some() {
                return Err("upstream spoke for the proxy".to_owned());
            }
            if (answer.status, &answer.body) != (*status, body) {
                return Err(format!("{} {:?}", answer.status, lossy(&answer.body)));
            }
            answer.closes()
        }
        (Got::Whole(answer), Outcome::Failed(status, reason)) => {
            let got = (answer.status, answer.field("x-cos-auth-proxy-error"));
            if got != (*status, Some(reason)) {
                return Err(format!("{got:?} instead of {reason}"));
            }
            answer.closes()
        }
        (Got::Cut(_), Outcome::Cut) => return Ok(false),
        // A reset may overtake bytes that the proxy had not read, the head with them.
        (Got::Whole(answer), Outcome::Cut) if lie.may_lose_its_head() => {
            let reason = answer.field("x-cos-auth-proxy-error");
            if (answer.status, reason) != (502, Some("upstream-closed")) {
                return Err(format!("looks whole: {} {:?}", answer.status, lossy(&answer.body)));
            }
            answer.closes()
        }
        (Got::Whole(answer), Outcome::Cut) => {
            return Err(format!("looks whole: {} {:?}", answer.status, lossy(&answer.body)));
        }
        (got, _) => return Err(format!("{got:?}")),
    };
    // It stays unless the client said otherwise, or some of its body was taken in vain.
    let in_vain = lie.to == To::Put && matches!(lie.outcome, Outcome::Failed(..));
    let stays = way.version == "1.1" && lie.to != To::HalfAPut && !in_vain;
    if stays == closes {
        return Err(format!("the connection {}", if closes { "ends" } else { "stays" }));
    }
    if closes && !client.is_ended().await {
        return Err("more bytes after the answer".to_owned());
    }
    Ok(!closes)
}

/// Asks for something else, and gets it.
async fn truth(client: &mut Client<TcpStream>, target: &str) -> Result<(), String> {
    client.write(request(To::Get, target, "1.1").as_bytes()).await;
    let seen = Seen { method: "GET".into(), target: target.into(), body: vec![] };
    match client.answer(false).await? {
        Got::Whole(answer) if answer.field("x-echo") == Some(&echo(&seen)) => Ok(()),
        got @ (Got::Whole(_) | Got::Closed | Got::Cut(_)) => {
            Err(format!("then {target} got {got:?}"))
        }
    }
}

async fn tcp(address: SocketAddr) -> Client<TcpStream> {
    let stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    Client::over(stream)
}
