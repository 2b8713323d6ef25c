"""BLAKE3: hash, keyed hash, key derivation, extendable output. Written from the paper, section 2."""

import struct

IV = (0x6A09E667, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A, 0x510E527F, 0x9B05688C, 0x1F83D9AB, 0x5BE0CD19)
CHUNK_START, CHUNK_END, PARENT, ROOT, KEYED_HASH, DERIVE_CONTEXT, DERIVE_MATERIAL = (1 << i for i in range(7))
PERMUTATION = (2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8)
# The words of state that each of the eight quarter rounds mixes: columns, then diagonals.
QUARTERS = ((0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15)) + (
    (0, 5, 10, 15),
    (1, 6, 11, 12),
    (2, 7, 8, 13),
    (3, 4, 9, 14),
)
M = 0xFFFFFFFF


def _compress(chaining, block, counter, length, flags):
    """All 16 words of the compression function's output."""
    message = struct.unpack("<16I", block)
    v = list(chaining) + [*IV[:4], counter & M, counter >> 32, length, flags]
    for turn in range(7):
        for i, (a, b, c, d) in enumerate(QUARTERS):
            va, vb, vc, vd = v[a], v[b], v[c], v[d]
            va = va + vb + message[2 * i] & M
            vd ^= va
            vd = (vd >> 16 | vd << 16) & M
            vc = vc + vd & M
            vb ^= vc
            vb = (vb >> 12 | vb << 20) & M
            va = va + vb + message[2 * i + 1] & M
            vd ^= va
            vd = (vd >> 8 | vd << 24) & M
            vc = vc + vd & M
            vb ^= vc
            v[a], v[b], v[c], v[d] = va, (vb >> 7 | vb << 25) & M, vc, vd
        message = [message[p] for p in PERMUTATION]
    return [v[i] ^ v[i + 8] for i in range(8)] + [v[i + 8] ^ chaining[i] for i in range(8)]


def _chunk(data, key, index, flags):
    """The arguments of the last compression of a chunk, from which its chaining value or the output follows."""
    chaining = key
    blocks = [data[i : i + 64] for i in range(0, len(data), 64)] or [b""]
    for i, block in enumerate(blocks):
        how = flags | (CHUNK_START if i == 0 else 0) | (CHUNK_END if i == len(blocks) - 1 else 0)
        last = (chaining, block.ljust(64, b"\0"), index, len(block), how)
        chaining = _compress(*last)[:8]
    return last


def _tree(data, key, first, flags):
    """The same for the tree over `data`, whose first chunk has the number `first`."""
    if len(data) <= 1024:
        return _chunk(data, key, first, flags)
    # The left subtree is the largest complete one that leaves at least a byte to the right.
    left = 1024
    while 2 * left < len(data):
        left *= 2
    halves = [_tree(data[:left], key, first, flags), _tree(data[left:], key, first + left // 1024, flags)]
    block = b"".join(struct.pack("<8I", *_compress(*half)[:8]) for half in halves)
    return (key, block, 0, 64, flags | PARENT)


def _output(data, key, flags, length):
    chaining, block, _, size, how = _tree(data, key, 0, flags)
    out = b""
    for counter in range(-(-length // 64)):
        out += struct.pack("<16I", *_compress(chaining, block, counter, size, how | ROOT))
    return out[:length]


def blake3(data, length=32):
    return _output(data, IV, 0, length)


def keyed(key, data, length=32):
    return _output(data, struct.unpack("<8I", key), KEYED_HASH, length)


def derive_key(context, data, length=32):
    key = _output(context.encode(), IV, DERIVE_CONTEXT, 32)
    return _output(data, struct.unpack("<8I", key), DERIVE_MATERIAL, length)


# The authors' test_vectors.json: input length, then the first 32 bytes of hash, keyed hash and derived key.
PUBLISHED = """
0    af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262 92b2b75604ed3c761f9d6f62392c8a9227ad0ea3f09573e783f1498a4ed60d26 2cc39783c223154fea8dfb7c1b1660f2ac2dcbd1c1de8277b0b0dd39b7e50d7d
1    2d3adedff11b61f14c886e35afa036736dcd87a74d27b5c1510225d0f592e213 6d7878dfff2f485635d39013278ae14f1454b8c0a3a2d34bc1ab38228a80c95b b3e2e340a117a499c6cf2398a19ee0d29cca2bb7404c73063382693bf66cb06c
1023 10108970eeda3eb932baac1428c7a2163b0e924c9a9e25b35bba72b28f70bd11 c951ecdf03288d0fcc96ee3413563d8a6d3589547f2c2fb36d9786470f1b9d6e 74a16c1c3d44368a86e1ca6df64be6a2f64cce8f09220787450722d85725dea5
1024 42214739f095a406f3fc83deb889744ac00df831c10daa55189b5d121c855af7 75c46f6f3d9eb4f55ecaaee480db732e6c2105546f1e675003687c31719c7ba4 7356cd7720d5b66b6d0697eb3177d9f8d73a4a5c5e968896eb6a689684302706
1025 d00278ae47eb27b34faecf67b4fe263f82d5412916c1ffd97c8cb7fb814b8444 357dc55de0c7e382c900fd6e320acc04146be01db6a8ce7210b7189bd664ea69 effaa245f065fbf82ac186839a249707c3bddf6d3fdda22d1b95a3c970379bcb
2048 e776b6028c7cd22a4d0ba182a8bf62205d2ef576467e838ed6f2529b85fba24a 879cf1fa2ea0e79126cb1063617a05b6ad9d0b696d0d757cf053439f60a99dd1 7b2945cb4fef70885cc5d78a87bf6f6207dd901ff239201351ffac04e1088a23
2049 5f4d72f40d7a5f82b15ca2b2e44b1de3c2ef86c426c95c1af0b6879522563030 9f29700902f7c86e514ddc4df1e3049f258b2472b6dd5267f61bf13983b78dd5 2ea477c5515cc3dd606512ee72bb3e0e758cfae7232826f35fb98ca1bcbdf273
3073 7124b49501012f81cc7f11ca069ec9226cecb8a2c850cfe644e327d22d3e1cd3 68dede9bef00ba89e43f31a6825f4cf433389fedae75c04ee9f0cf16a427c95a 72613c9ec9ff7e40f8f5c173784c532ad852e827dba2bf85b2ab4b76f7079081
5121 628bd2cb2004694adaab7bbd778a25df25c47b9d4155a55f8fbd79f2fe154cff 6ccf1c34753e7a044db80798ecd0782a8f76f33563accaddbfbb2e0ea4b2d024 b07f01e518e702f7ccb44a267e9e112d403a7b3f4883a47ffbed4b48339b3c34
7169 a003fc7a51754a9b3c7fae0367ab3d782dccf28855a03d435f8cfe74605e7817 ed9b1a922c046fdb3d423ae34e143b05ca1bf28b710432857bf738bcedbfa511 554b0a5efea9ef183f2f9b931b7497995d9eb26f5c5c6dad2b97d62fc5ac31d9
"""
# Of 1025 bytes, all 131 bytes of output: more than two blocks.
PUBLISHED_LONG = (
    "d00278ae47eb27b34faecf67b4fe263f82d5412916c1ffd97c8cb7fb814b8444f4c4a22b4b399155358a994e52bf255de60035742ec71bd08ac275"
    "a1b51cc6bfe332b0ef84b409108cda080e6269ed4b3e2c3f7d722aa4cdc98d16deb554e5627be8f955c98e1d5f9565a9194cad0c4285f93700062d"
    "9595adb992ae68ff12800ab67a",
    "357dc55de0c7e382c900fd6e320acc04146be01db6a8ce7210b7189bd664ea69362396b77fdc0d2634a552970843722066c3c15902ae5097e00ff5"
    "3f1e116f1cd5352720113a837ab2452cafbde4d54085d9cf5d21ca613071551b25d52e69d6c81123872b6f19cd3bc1333edf0c52b94de23ba772cf"
    "82636cff4542540a7738d5b930",
    "effaa245f065fbf82ac186839a249707c3bddf6d3fdda22d1b95a3c970379bcb5d31013a167509e9066273ab6e2123bc835b408b067d88f96addb5"
    "50d96b6852dad38e320b9d940f86db74d398c770f462118b35d2724efa13da97194491d96dd37c3c09cbef665953f2ee85ec83d88b88d11547a6f9"
    "11c8217cca46defa2751e7f3ad",
)


def check():
    context = "BLAKE3 2019-12-27 16:29:52 test vectors context"
    rows = [row.split() for row in PUBLISHED.strip().splitlines()] + [["1025", *PUBLISHED_LONG]]
    for length, *expected in rows:
        data = bytes(i % 251 for i in range(int(length)))
        size = len(expected[0]) // 2
        got = [blake3(data, size), keyed(b"whats the Elvish word for friend", data, size), derive_key(context, data, size)]
        assert [g.hex() for g in got] == expected, f"BLAKE3 of {length} bytes is wrong"
