//! Where machines, tasks and pods of Amazon's learn who they are, and the words of EC2's address.

/// EC2's, for a machine.
pub const INSTANCE: &str = "http://169.254.169.254";
/// The same by IPv6.
pub const INSTANCE_IPV6: &str = "http://[fd00:ec2::254]";
/// ECS's, for a task.
pub const TASK: &str = "http://169.254.170.2";
/// EKS Pod Identity's.
pub const POD: &str = "http://169.254.170.23";
/// The same by IPv6.
pub const POD_IPV6: &str = "http://[fd00:ec2::23]";

/// A `PUT` there gives a token, without which the second version says nothing.
pub const TOKEN_PATH: &str = "/latest/api/token";
/// How many seconds the token is to live.
pub const TOKEN_LIFE: &str = "x-aws-ec2-metadata-token-ttl-seconds";
/// The token.
pub const TOKEN: &str = "x-aws-ec2-metadata-token";
/// The roles, a line each; the keys of one are behind its name.
pub const ROLES_PATH: &str = "/latest/meta-data/iam/security-credentials/";
