@0xb7e05d4a9c3f1826;
# Spaces: keys, leases and journals that their owners keep in the replicated log. Requests and answers, and what the log holds of them.

struct Condition { key @0 :Text; version @1 :UInt64; }                 # 0: there must be none
struct Fence { lease @0 :Text; token @1 :UInt64; }                     # the lease must be held under this token
struct Change { key @0 :Text; value @1 :Data; isExpunged @2 :Bool; lease @3 :Text; }   # lease: expunged when that ends
struct Item { key @0 :Text; value @1 :Data; version @2 :UInt64; lease @3 :Text; }

# The same token again is answered as the first time: for those who do not know whether they were heard.
struct Transact {
  call @0 :UInt64; space @1 :Text; token @2 :Text;
  conditions @3 :List(Condition); fences @4 :List(Fence); changes @5 :List(Change);
}
# waitNs: when there is nothing new, to wait so long for something before that is answered.
struct Fetch { call @0 :UInt64; space @1 :Text; keys @2 :List(Text); }
struct ListNames { call @0 :UInt64; space @1 :Text; prefix @2 :Text; after @3 :Text; }
struct ReadChanges { call @0 :UInt64; space @1 :Text; prefix @2 :Text; after @3 :UInt64; waitNs @4 :Int64; }   # after: a revision
struct AcquireLease { call @0 :UInt64; space @1 :Text; name @2 :Text; holder @3 :Text; ttlNs @4 :Int64; }
struct RenewLease { call @0 :UInt64; space @1 :Text; name @2 :Text; token @3 :UInt64; }
struct ReleaseLease { call @0 :UInt64; space @1 :Text; name @2 :Text; token @3 :UInt64; }
struct RemoveSpace { call @0 :UInt64; space @1 :Text; }

# Journals: records at positions from 1, written by whoever claimed the journal last.
struct ClaimJournal { call @0 :UInt64; space @1 :Text; token @2 :Text; name @3 :Text; writer @4 :Text; }
struct AppendRecords {
  call @0 :UInt64; space @1 :Text; token @2 :Text; name @3 :Text;
  epoch @4 :UInt64;               # from the claim; older ones are refused
  position @5 :UInt64;            # that the first record must get; 0: the next, whatever it is
  fences @6 :List(Fence); records @7 :List(Data);
}
struct TruncateJournal { call @0 :UInt64; space @1 :Text; name @2 :Text; epoch @3 :UInt64; first @4 :UInt64; }   # all before `first` go
struct ReadRecords { call @0 :UInt64; space @1 :Text; name @2 :Text; position @3 :UInt64; waitNs @4 :Int64; }   # 0: the first that there is
struct DescribeSpace { call @0 :UInt64; space @1 :Text; }               # who holds what in it

struct Transacted { call @0 :UInt64; revision @1 :UInt64; }
struct Fetched { call @0 :UInt64; items @1 :List(Item); revision @2 :UInt64; considered @3 :UInt32; }   # items: those that there are of the first keys
struct Names { call @0 :UInt64; names @1 :List(Text); isMore @2 :Bool; revision @3 :UInt64; }
struct Revision { number @0 :UInt64; changes @1 :List(Change); }
struct Changes { call @0 :UInt64; revisions @1 :List(Revision); revision @2 :UInt64; }       # revision: up to which they go
struct Leased { call @0 :UInt64; token @1 :UInt64; }
struct Claimed { call @0 :UInt64; epoch @1 :UInt64; next @2 :UInt64; }
struct Appended { call @0 :UInt64; last @1 :UInt64; }                   # position of the last record
struct Records { call @0 :UInt64; position @1 :UInt64; records @2 :List(Data); first @3 :UInt64; next @4 :UInt64; epoch @5 :UInt64; }
struct LeaseView { name @0 :Text; holder @1 :Text; token @2 :UInt64; ttlNs @3 :Int64; keys @4 :UInt32; }
struct JournalView { name @0 :Text; writer @1 :Text; epoch @2 :UInt64; first @3 :UInt64; next @4 :UInt64; records @5 :UInt64; }
struct SpaceDescribed { call @0 :UInt64; leases @1 :List(LeaseView); journals @2 :List(JournalView); }   # the first of each: up to 1,000, and a quarter of a MiB
struct SpaceRefused { call @0 :UInt64; reason @1 :Text; text @2 :Text; }

struct SpaceRequest { union {
  unset @0 :Void; transact @1 :Transact; fetch @2 :Fetch; listNames @3 :ListNames; readChanges @4 :ReadChanges;
  acquireLease @5 :AcquireLease; renewLease @6 :RenewLease; releaseLease @7 :ReleaseLease; removeSpace @8 :RemoveSpace;
  claimJournal @9 :ClaimJournal; appendRecords @10 :AppendRecords; truncateJournal @11 :TruncateJournal; readRecords @12 :ReadRecords;
  describeSpace @13 :DescribeSpace;
} }
struct SpaceAnswer { union {
  unset @0 :Void; transacted @1 :Transacted; fetched @2 :Fetched; names @3 :Names; changes @4 :Changes; leased @5 :Leased;
  spaceRefused @6 :SpaceRefused; claimed @7 :Claimed; appended @8 :Appended; records @9 :Records;
  spaceDescribed @10 :SpaceDescribed;
} }

# Events.
struct SpaceOpened { space @0 :Text; owner @1 :Text; }
struct SpaceChanged { space @0 :Text; token @1 :Text; changes @2 :List(Change); }
struct LeaseAcquired { space @0 :Text; name @1 :Text; holder @2 :Text; ttlNs @3 :Int64; }
struct LeaseEnded { space @0 :Text; name @1 :Text; }
struct SpaceRemoved { space @0 :Text; }
struct JournalClaimed { space @0 :Text; name @1 :Text; writer @2 :Text; token @3 :Text; }
struct RecordsAppended { space @0 :Text; name @1 :Text; token @2 :Text; records @3 :List(Data); }
struct JournalTruncated { space @0 :Text; name @1 :Text; first @2 :UInt64; }
