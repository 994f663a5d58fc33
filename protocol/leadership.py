"""Who leads, as told by several masters whose words arrive in any order."""

from protocol.messages.link import Leader
from protocol.peer import Peer


class Leadership:
    """Keeps each master's last word; the highest epoch that has a leader is what counts.

    The first leader found says which cluster this is; from then on no other cluster's masters are
    believed, whatever their epoch: a master that founded one of its own by mistake leads there.
    That first one must be named by most of the masters, or `trust` must have been called.
    """

    __slots__ = ("_is_trusting", "_masters", "_words", "address", "epoch", "leader", "origin")

    def __init__(self, origin: str = "", masters: int = 1) -> None:
        """`masters` is how many there are to be heard."""
        self.origin = origin  # empty: not known yet
        self.epoch = 0  # highest ever heard of; never falls
        self.address = ""  # of its leader, as masters know it
        self.leader: Peer | None = None  # the open link to it
        self._masters = masters
        self._is_trusting = False
        self._words: dict[Peer, Leader] = {}

    @property
    def is_in_doubt(self) -> bool:
        """Whether masters say that they lead, and too few others name them to believe one."""
        return not self.origin and any(w.is_me and w.origin for w in self._words.values())

    def hear(self, peer: Peer, word: Leader) -> bool:
        """Take in what a master says about who leads; return whether it is of our cluster."""
        if not self._is_foreign(word):
            self._words[peer] = word
            self._settle()
        if self._is_foreign(word):
            self.forget(peer)
            return False
        return True

    def trust(self) -> None:
        """Believe who says that it leads, though most other masters stay silent."""
        self._is_trusting = True
        self._settle()

    def forget(self, peer: Peer) -> None:
        """Drop the word of a master whose link is gone."""
        self._words.pop(peer, None)
        self._choose()

    def _settle(self) -> None:
        self._find_origin()
        for word in self._words.values():
            # A master without a leader may be a lone candidate: its term fences nobody.
            is_ours = bool(self.origin) or not word.origin
            if word.address and word.epoch >= self.epoch and is_ours:
                self.epoch, self.address = word.epoch, word.address
        self._choose()

    def _find_origin(self) -> None:
        if self.origin:
            return
        leading = [word for word in self._words.values() if word.is_me and word.origin]
        believed = [word for word in leading if self._is_trusting or self._is_named_by_most(word)]
        if believed:
            self.origin = max(believed, key=lambda word: word.epoch).origin
            self._words = {p: word for p, word in self._words.items() if not self._is_foreign(word)}

    def _is_named_by_most(self, leading: Leader) -> bool:
        named = (leading.address, leading.epoch)
        count = sum((word.address, word.epoch) == named for word in self._words.values())
        return 2 * count > self._masters

    def _is_foreign(self, word: Leader) -> bool:
        return bool(word.origin and self.origin) and word.origin != self.origin

    def _choose(self) -> None:
        if self.leader is None or not self._leads(self.leader):
            self.leader = next((peer for peer in self._words if self._leads(peer)), None)

    def _leads(self, peer: Peer) -> bool:
        word = self._words.get(peer)
        if word is None or not word.is_me or word.epoch != self.epoch:
            return False
        return bool(self.origin) or not word.origin
