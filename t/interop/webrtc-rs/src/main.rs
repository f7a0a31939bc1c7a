// The turn crate of webrtc-rs as a client of a TURN server over UDP.
//
//     webrtc-rs SERVER USER PASSWORD REALM PEER [PEER ...]
//
// Sends to peers that echo, and prints what it has got, a line for each step.

use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::time::timeout;
use turn::client::{Client, ClientConfig};
use webrtc_util::Conn;

const MESSAGES: usize = 50;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();

    if args.len() < 5 {
        println!("error: usage: see main.rs");
        std::process::exit(2);
    }

    if let Err(e) = run(&args).await {
        println!("error: {e}");
        std::process::exit(1);
    }
}

async fn run(args: &[String]) -> Result<(), Box<dyn Error>> {
    let client = Client::new(ClientConfig {
        stun_serv_addr: args[0].clone(),
        turn_serv_addr: args[0].clone(),
        username: args[1].clone(),
        password: args[2].clone(),
        realm: args[3].clone(),
        software: String::new(),
        rto_in_ms: 0,
        conn: Arc::new(UdpSocket::bind("127.0.0.1:0").await?),
        vnet: None,
    })
    .await?;

    client.listen().await?;
    println!("mapped {}", client.send_binding_request().await?);

    let relay = client.allocate().await?;
    println!("relayed {}", relay.local_addr()?);

    for peer in &args[4..] {
        println!("echoes {}", echoes(&relay, peer.parse()?).await?);
    }

    relay.close().await?;
    client.close().await?;

    Ok(())
}

// datagrams may be lost

async fn echoes(relay: &impl Conn, peer: SocketAddr) -> Result<usize, Box<dyn Error>> {
    let mut buf = [0; 1600];
    let mut got = 0;

    for n in 0..4 * MESSAGES {
        if got == MESSAGES {
            break;
        }

        let text = format!("{n} SEE THIS");
        relay.send_to(text.as_bytes(), peer).await?;

        if let Ok(received) = timeout(Duration::from_secs(1), relay.recv_from(&mut buf)).await {
            let (size, from) = received?;

            if buf[..size] == *text.as_bytes() && from == peer {
                got += 1;
            }
        }
    }

    Ok(got)
}
