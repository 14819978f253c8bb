//! `protobuf.Transport` as the gateway serves it: authentication, the agent's stream, `PreConnect`
//! (gateway-protocol 1.7, 1.8, 3).

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use hyper::body::Incoming;
use tokio::sync::{mpsc, oneshot, watch};
use tonic::body::Body;
use tonic::codegen::http;
use tonic::codegen::tokio_stream::Stream;
use tonic::server::{Grpc, StreamingService, UnaryService};
use tonic::{Code, Request, Response, Status, Streaming};
use tonic_prost::ProstCodec;

use crate::event::{Event, Metadata, header};
use crate::hub::{AgentStream, Hub, PreConnectMood};
use crate::packet::{
    End, HealthCheckRequest, HealthCheckResponse, Packet, PreConnectRequest, PreConnectResponse,
    spec,
};
use crate::socket::Link;

/// One message that the gateway accepts at most.
pub const MESSAGE_BYTES_MAX: usize = 17 << 20;
/// Packets that may wait for an agent which does not read.
const OUTGOING_PACKETS_MAX: usize = 8;

type Answer<T> = Pin<Box<dyn Future<Output = Result<Response<T>, Status>> + Send>>;

/// The service on one connection.
#[derive(Clone)]
pub(crate) struct Service {
    pub hub: Arc<Hub>,
    pub link: Arc<Link>,
    pub feature_flags: Arc<str>,
}

impl Service {
    /// Answers one HTTP request.
    pub async fn answer(self, request: http::Request<Incoming>) -> http::Response<Body> {
        self.check_request(&request);
        match request.uri().path() {
            "/protobuf.Transport/Connect" => {
                let codec = ProstCodec::<Packet, Packet>::default();
                let reset = self.link.await_stream_reset();
                let answer = grpc(codec).streaming(Connect(self), request).await;
                answer.map(|body| Body::new(Resettable { body, reset }))
            }
            "/protobuf.Transport/PreConnect" => {
                let codec = ProstCodec::<PreConnectResponse, PreConnectRequest>::default();
                grpc(codec).unary(PreConnect(self), request).await
            }
            "/protobuf.Transport/HealthCheck" => {
                let codec = ProstCodec::<HealthCheckResponse, HealthCheckRequest>::default();
                grpc(codec).unary(HealthCheck(self), request).await
            }
            path => Status::unimplemented(format!("unknown method {path}")).into_http(),
        }
    }

    /// What gRPC asks of every request, noted where it is missing.
    fn check_request(&self, request: &http::Request<Incoming>) {
        let value = |name: &str| {
            request
                .headers()
                .get(name)
                .and_then(|value| value.to_str().ok())
        };
        let mut wrong = Vec::new();
        if request.method() != http::Method::POST {
            wrong.push(format!("method {}", request.method()));
        }
        if !value("content-type")
            .unwrap_or_default()
            .starts_with("application/grpc")
        {
            wrong.push(format!("content-type {:?}", value("content-type")));
        }
        if value("te") != Some("trailers") {
            wrong.push(format!("te {:?}", value("te")));
        }
        if value("grpc-encoding").is_some_and(|encoding| encoding != "identity") {
            wrong.push(format!("grpc-encoding {:?}", value("grpc-encoding")));
        }
        if request.uri().path().ends_with("/Connect") && value("grpc-timeout").is_some() {
            wrong.push("a deadline on Connect".to_owned());
        }
        for what in wrong {
            self.hub.note(Event::Violation(format!(
                "request {}: {what}",
                request.uri().path()
            )));
        }
    }

    /// The name of the agent whose key this is (gateway-protocol 1.7).
    fn authenticate(&self, metadata: &Metadata) -> Result<String, Status> {
        let invalid = || Status::unauthenticated("invalid authentication");
        let token =
            header(metadata, "authorization").and_then(|value| value.strip_prefix("Bearer "));
        let token = token
            .filter(|token| !token.contains(' '))
            .ok_or_else(invalid)?;
        let (name, secret) = if token.starts_with("x-agt-") {
            (None, token)
        } else {
            let rest = token.split_once("://").ok_or_else(invalid)?.1;
            let user_info = rest.split_once('@').ok_or_else(invalid)?.0;
            let (name, secret) = user_info.split_once(':').ok_or_else(invalid)?;
            (Some(name), secret)
        };
        let state = self.hub.lock();
        let agent = state
            .agents
            .iter()
            .find(|agent| agent.secret == secret && !agent.revoked);
        let agent = agent.ok_or_else(invalid)?;
        if name.is_some_and(|name| name != agent.name) {
            return Err(Status::unauthenticated(
                "invalid authentication, mismatch dsn attributes",
            ));
        }
        Ok(agent.name.clone())
    }
}

fn grpc<C: tonic::codec::Codec>(codec: C) -> Grpc<C> {
    Grpc::new(codec)
        .max_decoding_message_size(MESSAGE_BYTES_MAX)
        .max_encoding_message_size(usize::MAX)
}

fn metadata_of<T>(request: &Request<T>) -> Metadata {
    let headers = request.metadata().clone().into_headers();
    let text = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    headers
        .iter()
        .map(|(key, value)| (key.to_string(), text(value)))
        .collect()
}

fn end_of(status: &Status) -> End {
    End {
        code: status.code() as i32,
        message: status.message().to_owned(),
    }
}

struct HealthCheck(Service);

impl UnaryService<HealthCheckRequest> for HealthCheck {
    type Response = HealthCheckResponse;
    type Future = Answer<HealthCheckResponse>;

    fn call(&mut self, _request: Request<HealthCheckRequest>) -> Self::Future {
        self.0.hub.note(Event::HealthCheck {
            link: self.0.link.id,
        });
        Box::pin(async {
            Ok(Response::new(HealthCheckResponse {
                status: "OK".to_owned(),
            }))
        })
    }
}

struct PreConnect(Service);

impl UnaryService<PreConnectRequest> for PreConnect {
    type Response = PreConnectResponse;
    type Future = Answer<PreConnectResponse>;

    fn call(&mut self, request: Request<PreConnectRequest>) -> Self::Future {
        let Service { hub, link, .. } = self.0.clone();
        let asked = self.0.authenticate(&metadata_of(&request));
        let mood = hub.lock().preconnect.clone();
        Box::pin(async move {
            let mut name = String::new();
            let answer = match (asked, mood) {
                (Err(status), _) => Err(status),
                (Ok(agent), mood) => {
                    name = agent;
                    match mood {
                        PreConnectMood::Normal => Ok((normal_answer(&hub, &name), String::new())),
                        PreConnectMood::Answer(status, message) => Ok((status, message)),
                        PreConnectMood::Fail(code, message) => {
                            Err(Status::new(Code::from(code), message))
                        }
                        PreConnectMood::Silent => Ok((String::new(), String::new())),
                    }
                }
            };
            let silent = answer.as_ref().is_ok_and(|(status, _)| status.is_empty());
            hub.change(|state| {
                if let Some(agent) = state.agent(&name) {
                    agent.preconnects += 1;
                }
                let answer = answer
                    .as_ref()
                    .map(|(status, _)| status.clone())
                    .map_err(end_of);
                hub.write(
                    state,
                    Event::PreConnect {
                        link: link.id,
                        agent: name,
                        answer,
                    },
                );
            });
            if silent {
                std::future::pending::<()>().await;
            }
            answer.map(|(status, message)| Response::new(PreConnectResponse { status, message }))
        })
    }
}

fn normal_answer(hub: &Hub, name: &str) -> String {
    let mut state = hub.lock();
    let waits = state
        .agent(name)
        .is_some_and(|agent| agent.waiting > 0 && agent.stream.is_none());
    if waits {
        "CONNECT".to_owned()
    } else {
        "BACKOFF".to_owned()
    }
}

struct Connect(Service);

impl StreamingService<Packet> for Connect {
    type Response = Packet;
    type ResponseStream = Outgoing;
    type Future = Answer<Outgoing>;

    fn call(&mut self, request: Request<Streaming<Packet>>) -> Self::Future {
        let service = self.0.clone();
        Box::pin(async move {
            let metadata = metadata_of(&request);
            let outcome = service.admit(&metadata, request.into_inner());
            outcome.map(Response::new).inspect_err(|status| {
                service.hub.note(Event::Refused {
                    link: service.link.id,
                    end: end_of(status),
                    metadata,
                });
            })
        })
    }
}

impl Service {
    fn admit(&self, metadata: &Metadata, incoming: Streaming<Packet>) -> Result<Outgoing, Status> {
        if header(metadata, "origin") != Some("agent") {
            return Err(Status::invalid_argument("missing client origin"));
        }
        let name = self.authenticate(metadata)?;
        let (outgoing, packets) = mpsc::channel(OUTGOING_PACKETS_MAX);
        let (end, ended) = oneshot::channel();
        // Before anybody else can send.
        let flags = self.feature_flags.as_bytes().to_vec();
        for packet in [
            Packet::new("AgentGatewayConnectOK"),
            Packet::new("GatewayFeatureFlagUpdate").with(spec::FEATURE_FLAGS, flags),
        ] {
            outgoing.try_send(packet).expect("a new queue has room");
        }
        let stream = self.hub.change(|state| {
            let id = state.next_id();
            let agent = state.agent(&name).filter(|agent| agent.stream.is_none());
            let agent =
                agent.ok_or_else(|| Status::failed_precondition("agent already connected"))?;
            let stream = Arc::new(AgentStream {
                id,
                agent: name.clone(),
                metadata: metadata.clone(),
                link: self.link.clone(),
                outgoing,
                end: std::sync::Mutex::new(Some(end)),
                stalled: watch::channel(false).0,
            });
            agent.stream = Some(stream.clone());
            let event = Event::Online {
                link: self.link.id,
                agent: name.clone(),
                stream: id,
                metadata: metadata.clone(),
            };
            self.hub.write(state, event);
            Ok::<_, Status>(stream)
        })?;
        tokio::spawn(receive_all(self.hub.clone(), stream, incoming));
        Ok(Outgoing {
            packets,
            ended: Some(ended),
        })
    }
}

/// Takes an agent's packets until its stream is over.
async fn receive_all(hub: Arc<Hub>, stream: Arc<AgentStream>, mut incoming: Streaming<Packet>) {
    let mut stalled = stream.stalled.subscribe();
    let reason = loop {
        let is_stalled = *stalled.borrow_and_update();
        let received = tokio::select! {
            biased;
            changed = stalled.changed() => match changed {
                Ok(()) => continue,
                Err(_) => break "the gateway is gone".to_owned(),
            },
            // Before the end, so that what came ahead of it is not lost.
            received = incoming.message(), if !is_stalled => received,
            () = stream.outgoing.closed() => break "the agent ended the stream".to_owned(),
        };
        match received {
            Ok(Some(packet)) => {
                let Some((inbox, ends)) = hub.receive(&stream, &packet) else {
                    continue;
                };
                if ends {
                    acknowledge_close(&hub, &stream, &packet).await;
                }
                tokio::select! {
                    biased;
                    () = stream.outgoing.closed() => {}
                    () = inbox.deliver(packet) => {}
                }
                if ends {
                    inbox.end("closed by the agent");
                }
            }
            Ok(None) => {
                end_stream(&stream, Status::unknown("EOF"));
                break "the agent half-closed".to_owned();
            }
            Err(status) => {
                if status.code() == Code::OutOfRange {
                    end_stream(
                        &stream,
                        Status::resource_exhausted(status.message().to_owned()),
                    );
                }
                break format!("{:?}: {}", status.code(), status.message());
            }
        }
    };
    hub.stream_over(&stream, &reason);
}

async fn acknowledge_close(hub: &Hub, stream: &AgentStream, packet: &Packet) {
    let close = Packet::new("AgentSessionClose").with(spec::SESSION_ID, packet.sid());
    hub.note_sent(stream, &close);
    let _ = stream.outgoing.send(close).await;
}

/// Ends the stream with a status, at once: what was queued for the agent is dropped.
pub(crate) fn end_stream(stream: &AgentStream, status: Status) {
    if let Some(end) = stream.end.lock().unwrap().take() {
        let _ = end.send(status);
    }
}

/// A response that can be broken off: the agent then sees RST_STREAM instead of trailers.
struct Resettable {
    body: Body,
    reset: oneshot::Receiver<()>,
}

impl http_body::Body for Resettable {
    type Data = <Body as http_body::Body>::Data;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Self::Data>, Status>>> {
        if let Poll::Ready(Ok(())) = Pin::new(&mut self.reset).poll(cx) {
            return Poll::Ready(Some(Err(Status::aborted("the stream is reset"))));
        }
        Pin::new(&mut self.body).poll_frame(cx)
    }

    /// A refusal has no body: its one HEADERS frame ends the stream.
    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> http_body::SizeHint {
        self.body.size_hint()
    }
}

/// What goes to the agent: packets as they come, or the end.
pub(crate) struct Outgoing {
    packets: mpsc::Receiver<Packet>,
    /// `None` when nobody can end the stream any more, or it was ended.
    ended: Option<oneshot::Receiver<Status>>,
}

impl Stream for Outgoing {
    type Item = Result<Packet, Status>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Some(Poll::Ready(end)) = self.ended.as_mut().map(|ended| Pin::new(ended).poll(cx)) {
            self.ended = None;
            if let Ok(status) = end {
                self.packets.close();
                while self.packets.try_recv().is_ok() {}
                return Poll::Ready(Some(Err(status)));
            }
        }
        self.packets.poll_recv(cx).map(|packet| packet.map(Ok))
    }
}
