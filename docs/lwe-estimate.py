#!/usr/bin/env python3
"""Recomputes what the masks' Ring-LWE parameters cost to break. Standard library only.

    python3 docs/lwe-estimate.py            the protocol's parameters, and what smaller ones would be worth
    python3 docs/lwe-estimate.py --check    exits with 1 unless the claim of docs/protocol.md, section 3, holds

Model: the primal attack, uSVP embedding ("2016 estimate": Alkim, Ducas, Poeppelmann, Schwabe, USENIX Security
2016; Albrecht, Goepfert, Virdia, Wunderer, Asiacrypt 2017), geometric series assumption, Chen's root Hermite
factor delta(beta), any number of samples, secret and error brought to one scale. Cost: core-SVP, 2^(0.292 beta)
classical and 2^(0.265 beta) quantum: one call to the sieve, polynomial factors left out, so a lower bound
of what this attack costs. The ring's structure is not known to help, and is not used.

Deviations: nominal 4.5 (key) and 4.5 sqrt 2 (error). An opening reveals the sum of the keys and of the vectors
over at least two honest devices. The reduction from Hint-LWE to LWE (Kim, Lee, Seo, Song, CRYPTO 2023) then
leaves half of each: 2.25 and 3.18.
"""
import math
import sys

Q = 2**32 - 2**20 + 1
N = 2048
CLAIM_BITS = 213  # what the documents claim, classical


def log_delta(beta):
    """log2 of the root Hermite factor of BKZ-beta (Chen 2013), for beta > 50."""
    return math.log2((math.pi * beta) ** (1 / beta) * beta / (2 * math.pi * math.e)) / (2 * (beta - 1))


def succeeds(beta, n, q, sigma_key, sigma_error, m):
    """Does BKZ-beta find the short vector among m samples?"""
    d = n + m + 1
    # Coordinates of the key are scaled by xi, so that all have the error's deviation.
    xi = sigma_error / sigma_key
    log_volume = m * math.log2(q) + n * math.log2(xi)
    left = math.log2(sigma_error) + 0.5 * math.log2(beta)
    right = (2 * beta - d - 1) * log_delta(beta) + log_volume / d
    return left <= right


def best_samples(beta, n, q, sigma_key, sigma_error):
    """The number of samples that helps most: where the right side of the condition is largest."""
    xi = math.log2(sigma_error / sigma_key)

    def right(m):
        d = n + m + 1
        return (2 * beta - d - 1) * log_delta(beta) + (m * math.log2(q) + n * xi) / d

    low, high = 1, 8 * n
    while high - low > 2:  # unimodal
        a, b = low + (high - low) // 3, high - (high - low) // 3
        if right(a) < right(b):
            low = a
        else:
            high = b
    return max(range(low, high + 1), key=right)


def block_size(n, q, sigma_key, sigma_error):
    """Smallest beta, and its number of samples, for which the attack is expected to succeed."""
    low, high = 60, 4 * n
    while low < high:
        beta = (low + high) // 2
        m = best_samples(beta, n, q, sigma_key, sigma_error)
        if succeeds(beta, n, q, sigma_key, sigma_error, m):
            high = beta
        else:
            low = beta + 1
    return low, best_samples(low, n, q, sigma_key, sigma_error)


def report(name, n, q, sigma_key, sigma_error):
    beta, m = block_size(n, q, sigma_key, sigma_error)
    print(
        f"{name:38} n={n:5} log2 q={math.log2(q):5.2f} key {sigma_key:5.2f} error {sigma_error:5.2f}"
        f"  beta={beta:4} samples={m:5}  classical 2^{0.292 * beta:.0f}  quantum 2^{0.265 * beta:.0f}"
    )
    return 0.292 * beta


def main():
    root2 = math.sqrt(2)
    bits = report("two honest devices (the claim)", N, Q, 2.25, 2.25 * root2)
    report("nothing opened (nominal)", N, Q, 4.5, 4.5 * root2)
    report("a smaller ring, refused", N // 2, Q, 2.25, 2.25 * root2)
    report("half the deviations, refused", N, Q, 1.125, 1.125 * root2)
    report("a modulus of 40 bits, refused", N, 2**40, 2.25, 2.25 * root2)
    # A known number, to check the model itself: Kyber-1024's core-SVP hardness is quoted as 254 to 256.
    report("for comparison: Kyber-1024 (254)", 1024, 3329, 1.0, 1.0)
    if "--check" in sys.argv[1:] and bits < CLAIM_BITS:
        sys.exit(f"the claim of 2^{CLAIM_BITS} does not hold: 2^{bits:.0f}")


if __name__ == "__main__":
    main()
