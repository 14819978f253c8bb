//! temporary
use crate::h2::{ErrorCode, Fields};
#[derive(Clone,Copy,PartialEq,Debug)] pub enum Code{Ok,Unauthenticated,Other(u32)}
pub struct Status{pub code:Code, pub message:String}
impl std::fmt::Display for Status { fn fmt(&self,f:&mut std::fmt::Formatter<'_>)->std::fmt::Result{write!(f,"{:?}: {}",self.code,self.message)}}
fn code(b:&[u8])->Code{ match std::str::from_utf8(b).ok().and_then(|s|s.parse::<u32>().ok()){Some(0)=>Code::Ok,Some(16)=>Code::Unauthenticated,Some(n)=>Code::Other(n),None=>Code::Other(2)}}
impl Status{pub fn is_ok(&self)->bool{self.code==Code::Ok} pub fn ended_without_status()->Self{Self{code:Code::Other(2),message:"ended without status".into()}}
 pub fn from_headers(f:&Fields,end:bool)->Option<Self>{if end {Some(Self::from_trailers(f))}else{None}}
 pub fn from_trailers(f:&Fields)->Self{Self{code:code(f.get("grpc-status").unwrap_or(b"")),message:String::from_utf8_lossy(f.get("grpc-message").unwrap_or(b"")).into()}}
 pub fn from_reset(c:ErrorCode)->Self{Self{code:Code::Other(14),message:format!("reset {c}")}}}
#[derive(Debug)] pub struct ReassemblyError; impl std::fmt::Display for ReassemblyError { fn fmt(&self,f:&mut std::fmt::Formatter<'_>)->std::fmt::Result{f.write_str("bad message")}}
pub struct Reassembly{buf:Vec<u8>,max:usize,done:bool}
impl Reassembly{pub fn new(max:usize)->Self{Self{buf:Vec::new(),max,done:false}}
 pub fn feed<'a>(&'a mut self,b:&'a [u8])->Result<(usize,Option<&'a [u8]>),ReassemblyError>{
  if self.done{self.buf.clear();self.done=false;}
  if self.buf.is_empty()&&b.len()>=5{let n=u32::from_be_bytes([b[1],b[2],b[3],b[4]]) as usize; if b.len()>=5+n{return Ok((5+n,Some(&b[5..5+n])))}}
  let mut used=0;
  while self.buf.len()<5 && used<b.len(){self.buf.push(b[used]);used+=1;}
  if self.buf.len()<5{return Ok((used,None))}
  let n=u32::from_be_bytes([self.buf[1],self.buf[2],self.buf[3],self.buf[4]]) as usize; if n>self.max{return Err(ReassemblyError)}
  let need=5+n-self.buf.len(); let t=need.min(b.len()-used); self.buf.extend_from_slice(&b[used..used+t]); used+=t;
  if self.buf.len()==5+n{self.done=true;return Ok((used,Some(&self.buf[5..])))}
  Ok((used,None))}}
pub fn write_prefix(n:usize)->[u8;5]{let b=(n as u32).to_be_bytes();[0,b[0],b[1],b[2],b[3]]}
pub mod metadata{ pub fn request<'a>(scheme:&'a str,authority:&'a str,path:&'a str,ua:&'a str)->Vec<(&'a str,&'a [u8])>{vec![(":method",b"POST"),(":scheme",scheme.as_bytes()),(":authority",authority.as_bytes()),(":path",path.as_bytes()),("content-type",b"application/grpc"),("te",b"trailers"),("user-agent",ua.as_bytes())]}}
