"""AES (FIPS 197) of one block, and the counter mode of docs/crypto-table.md, section 3."""


def _xtime(a):
    return (a << 1 ^ 0x11B if a & 0x80 else a << 1) & 0xFF


def _times(a, b):
    product = 0
    while b:
        if b & 1:
            product ^= a
        a, b = _xtime(a), b >> 1
    return product


def _make_sbox():
    sbox = []
    for value in range(256):
        inverse = next((x for x in range(256) if _times(value, x) == 1), 0)
        out = 0x63
        for turn in range(5):
            out ^= (inverse << turn | inverse >> (8 - turn)) & 0xFF
        sbox.append(out)
    return sbox


SBOX = _make_sbox()
TWICE = [_xtime(a) for a in range(256)]
# Column i of MixColumns after SubBytes, for a byte in row 0, as a big-endian word; rows 1 to 3 are its rotations.
_T0 = [TWICE[s] << 24 | s << 16 | s << 8 | (TWICE[s] ^ s) for s in SBOX]
_T1 = [(t >> 8 | t << 24) & 0xFFFFFFFF for t in _T0]
_T2 = [(t >> 8 | t << 24) & 0xFFFFFFFF for t in _T1]
_T3 = [(t >> 8 | t << 24) & 0xFFFFFFFF for t in _T2]


def key_schedule(key):
    """The round keys as big-endian words, four a round."""
    words = [int.from_bytes(key[i : i + 4], "big") for i in range(0, len(key), 4)]
    length, constant = len(words), 1
    while len(words) < 4 * (length + 7):
        word, i = words[-1], len(words)
        if i % length == 0:
            word = (word << 8 | word >> 24) & 0xFFFFFFFF
        if i % length == 0 or (length > 6 and i % length == 4):
            word = int.from_bytes(bytes(SBOX[b] for b in word.to_bytes(4, "big")), "big")
        if i % length == 0:
            word ^= constant << 24
            constant = _xtime(constant)
        words.append(words[i - length] ^ word)
    return words


def encrypt(schedule, block):
    """One block of 16 bytes under a key schedule."""
    state = [int.from_bytes(block[4 * i : 4 * i + 4], "big") ^ schedule[i] for i in range(4)]
    for at in range(4, len(schedule) - 4, 4):
        a, b, c, d = state
        state = [
            _T0[a >> 24] ^ _T1[b >> 16 & 255] ^ _T2[c >> 8 & 255] ^ _T3[d & 255] ^ schedule[at],
            _T0[b >> 24] ^ _T1[c >> 16 & 255] ^ _T2[d >> 8 & 255] ^ _T3[a & 255] ^ schedule[at + 1],
            _T0[c >> 24] ^ _T1[d >> 16 & 255] ^ _T2[a >> 8 & 255] ^ _T3[b & 255] ^ schedule[at + 2],
            _T0[d >> 24] ^ _T1[a >> 16 & 255] ^ _T2[b >> 8 & 255] ^ _T3[c & 255] ^ schedule[at + 3],
        ]
    out = b""
    for i in range(4):
        word = 0
        for row in range(4):  # SubBytes and ShiftRows, without MixColumns
            word = word << 8 | SBOX[state[(i + row) % 4] >> (24 - 8 * row) & 255]
        out += (word ^ schedule[len(schedule) - 4 + i]).to_bytes(4, "big")
    return out


def counter_stream(key, length):
    """Block i of the stream is the encryption of LE64(i) || 0^8."""
    schedule = key_schedule(key)
    blocks = -(-length // 16)
    return b"".join(encrypt(schedule, i.to_bytes(8, "little") + bytes(8)) for i in range(blocks))[:length]


def check():
    """FIPS 197, appendices A.1, B, C.1 and C.3; NIST SP 800-38A, F.1.1."""
    assert [SBOX[i] for i in (0x00, 0x01, 0x53, 0xFF)] == [0x63, 0x7C, 0xED, 0x16]
    assert key_schedule(bytes.fromhex("2b7e151628aed2a6abf7158809cf4f3c"))[-1] == 0xB6630CA6
    for key, plain, cipher in [
        ("2b7e151628aed2a6abf7158809cf4f3c", "3243f6a8885a308d313198a2e0370734", "3925841d02dc09fbdc118597196a0b32"),
        ("000102030405060708090a0b0c0d0e0f", "00112233445566778899aabbccddeeff", "69c4e0d86a7b0430d8cdb78070b4c55a"),
        (
            "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
            "00112233445566778899aabbccddeeff",
            "8ea2b7ca516745bfeafc49904b496089",
        ),
        ("2b7e151628aed2a6abf7158809cf4f3c", "6bc1bee22e409f96e93d7e117393172a", "3ad77bb40d7a3660a89ecaf32466ef97"),
    ]:
        assert encrypt(key_schedule(bytes.fromhex(key)), bytes.fromhex(plain)).hex() == cipher, "AES is wrong"
