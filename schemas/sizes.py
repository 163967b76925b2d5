"""Size classes: how long a message, or what is sealed in it, may be, so that its length says little.

256 and 384 bytes and their doublings up to 1 MiB, above that whole quarters of a MiB: at most half is padding
above the first class, and a large report still fits the largest message. Padding is zeros, which a compressing
producer or topic would take away again: ours do not compress.
"""

_FIRST, _DOUBLING_ENDS, _STEP = 256, 1 << 20, 1 << 18


def size_class(length: int) -> int:
    """Return the smallest size class of ``length`` bytes or more."""
    if length > _DOUBLING_ENDS:
        return -(-length // _STEP) * _STEP
    size = _FIRST
    while size < length:
        if size * 3 // 2 >= length:
            return size * 3 // 2
        size *= 2
    return size


def padding(length: int) -> bytes:
    """Return an Avro ``bytes`` value of zeros that brings a message of ``length`` bytes to a size class."""
    total = size_class(length + 1)
    while True:
        # Where the length of the padding grows by a byte, one size cannot be met: the next class can.
        for digits in (1, 2, 3, 4):
            zeros = total - length - digits
            head = _long(zeros) if zeros >= 0 else b""
            if len(head) == digits:
                return head + bytes(zeros)
        total = size_class(total + 1)


def pad(data: bytes) -> bytes:
    """Bring bytes to a size class: a one bit, then zeros (ISO/IEC 7816-4, method 2 of ISO/IEC 9797-1)."""
    return data + b"\x80" + bytes(size_class(len(data) + 1) - len(data) - 1)


def unpad(data: bytes) -> bytes:
    """Undo ``pad``.

    Raises:
        ValueError: the bytes were not padded.
    """
    data = data.rstrip(b"\0")
    if not data.endswith(b"\x80"):
        raise ValueError("not padded")
    return data[:-1]


def _long(number: int) -> bytes:
    """Write a number of 0 or more as Avro does: zig-zag, seven bits to a byte, low bits first."""
    number *= 2
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)
