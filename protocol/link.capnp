@0xe8b7ce0a2f6d4c11;
# One frame is one message whose root is Frame. Every link: hello, challenge, proof, welcome; then the rest.

enum LinkRole { unset @0; agent @1; framework @2; executor @3; replica @4; operator @5; keeper @6; }

struct Hello {
  protocolMin @0 :UInt16; protocolMax @1 :UInt16;
  role @2 :LinkRole;
  name @3 :Text;                  # who calls: agent id, scheduler's name, replica's address
  principal @4 :Text;             # whom the secret belongs to; empty with mechanism NONE
  mechanism @5 :Text;             # SCRAM-SHA-256, or NONE where the server is configured insecure
  nonce @6 :Data;
  cluster @7 :Text;               # cluster name; empty: any
  clusterId @8 :Text;             # of a replica: drawn at its cluster's founding; empty: not known yet
  logVersion @9 :UInt16;          # of a replica: the newest version of the log that it understands; 0: 1
}
struct Challenge { nonce @0 :Data; salt @1 :Data; iterations @2 :UInt32; }
struct Proof { proof @0 :Data; }
struct Welcome {
  protocol @0 :UInt16; heartbeatNs @1 :UInt64; frameBytesMax @2 :UInt32;
  signature @3 :Data;             # the server's own proof
  name @4 :Text;                  # the server's address as its peers know it
  cluster @5 :Text;
}
struct LinkRefused { code @0 :Text; text @1 :Text; isRetryable @2 :Bool; }
# Empty address: none known. origin: drawn when the cluster was founded, kept over recoveries; others of its name have another.
struct Leader { address @0 :Text; epoch @1 :UInt64; isMe @2 :Bool; origin @3 :Text; masters @4 :List(Text); }

struct Frame {
  epoch @0 :UInt64;               # leadership the payload was decided under; 0 where none is meant
  union {
    unset @1 :Void;
    hello @2 :Hello; challenge @3 :Challenge; proof @4 :Proof; welcome @5 :Welcome;
    refused @6 :LinkRefused;
    ping @7 :UInt64; pong @8 :UInt64;
    leader @9 :Leader;
    payload @10 :Data;            # one message of the role's own schema
  }
}
