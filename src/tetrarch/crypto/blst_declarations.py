"""C declarations of the blst functions that we call, and the generator of ``blst_abi``.

Parsing C declarations costs 100 to 400 ms at import, so they are parsed once, here:
``python -m tetrarch.crypto.blst_declarations`` rewrites ``blst_abi.py``, and a test holds both
files equal. Nothing at run time imports this module.

Source: blst's bindings/blst.h, version 0.3.16 (the one inside ckzg 2.1).
"""

import tempfile
from pathlib import Path

DECLARATIONS = """
typedef struct { uint8_t b[32]; } blst_scalar;
typedef struct { uint64_t l[6]; } blst_fp;
typedef struct { blst_fp fp[2]; } blst_fp2;
typedef struct { uint64_t l[72]; } blst_fp12;
typedef struct { blst_fp x, y, z; } blst_p1;
typedef struct { blst_fp x, y; } blst_p1_affine;
typedef struct { blst_fp2 x, y, z; } blst_p2;
typedef struct { blst_fp2 x, y; } blst_p2_affine;

void blst_keygen(blst_scalar *out, const uint8_t *ikm, size_t ikm_size,
                 const uint8_t *info, size_t info_size);
void blst_derive_master_eip2333(blst_scalar *out, const uint8_t *ikm, size_t ikm_size);
void blst_derive_child_eip2333(blst_scalar *out, const blst_scalar *sk, uint32_t child_index);
void blst_scalar_from_bendian(blst_scalar *out, const uint8_t *in);
void blst_bendian_from_scalar(uint8_t *out, const blst_scalar *in);
bool blst_sk_check(const blst_scalar *sk);
void blst_sk_to_pk_in_g1(blst_p1 *out, const blst_scalar *sk);
void blst_sign_pk_in_g1(blst_p2 *out, const blst_p2 *hash, const blst_scalar *sk);
void blst_hash_to_g2(blst_p2 *out, const uint8_t *message, size_t message_size,
                     const uint8_t *dst, size_t dst_size, const uint8_t *aug, size_t aug_size);

int blst_p1_uncompress(blst_p1_affine *out, const uint8_t *in);
void blst_p1_compress(uint8_t *out, const blst_p1 *in);
void blst_p1_affine_compress(uint8_t *out, const blst_p1_affine *in);
bool blst_p1_affine_in_g1(const blst_p1_affine *p);
bool blst_p1_affine_is_inf(const blst_p1_affine *p);
bool blst_p1_affine_is_equal(const blst_p1_affine *a, const blst_p1_affine *b);
void blst_p1_to_affine(blst_p1_affine *out, const blst_p1 *in);
void blst_p1_mult(blst_p1 *out, const blst_p1 *p, const uint8_t *scalar, size_t bits);
void blst_p1_add_or_double_affine(blst_p1 *out, const blst_p1 *a, const blst_p1_affine *b);
void blst_p1_double(blst_p1 *out, const blst_p1 *a);
void blst_p1s_add(blst_p1 *out, const blst_p1_affine *const *points, size_t count);
size_t blst_p1s_mult_pippenger_scratch_sizeof(size_t count);
void blst_p1s_mult_pippenger(blst_p1 *out, const blst_p1_affine *const *points, size_t count,
                             const uint8_t *const *scalars, size_t bits, void *scratch);
void blst_fp_cneg(blst_fp *out, const blst_fp *a, bool flag);
const blst_p1_affine *blst_p1_affine_generator(void);

int blst_p2_uncompress(blst_p2_affine *out, const uint8_t *in);
int blst_p2_deserialize(blst_p2_affine *out, const uint8_t *in);
void blst_p2_affine_serialize(uint8_t *out, const blst_p2_affine *in);
void blst_p2_compress(uint8_t *out, const blst_p2 *in);
void blst_p2_affine_compress(uint8_t *out, const blst_p2_affine *in);
bool blst_p2_affine_in_g2(const blst_p2_affine *p);
bool blst_p2_is_inf(const blst_p2 *p);
bool blst_p2_affine_is_inf(const blst_p2_affine *p);
void blst_p2_to_affine(blst_p2_affine *out, const blst_p2 *in);
void blst_p2_mult(blst_p2 *out, const blst_p2 *p, const uint8_t *scalar, size_t bits);
void blst_p2_add_or_double_affine(blst_p2 *out, const blst_p2 *a, const blst_p2_affine *b);
void blst_p2_double(blst_p2 *out, const blst_p2 *a);
void blst_p2s_add(blst_p2 *out, const blst_p2_affine *const *points, size_t count);
size_t blst_p2s_mult_pippenger_scratch_sizeof(size_t count);
void blst_p2s_mult_pippenger(blst_p2 *out, const blst_p2_affine *const *points, size_t count,
                             const uint8_t *const *scalars, size_t bits, void *scratch);

int blst_core_verify_pk_in_g1(const blst_p1_affine *pk, const blst_p2_affine *signature,
                              bool hash_or_encode, const uint8_t *message, size_t message_size,
                              const uint8_t *dst, size_t dst_size,
                              const uint8_t *aug, size_t aug_size);
void blst_miller_loop_n(blst_fp12 *out, const blst_p2_affine *const *qs,
                        const blst_p1_affine *const *ps, size_t count);
void blst_final_exp(blst_fp12 *out, const blst_fp12 *in);
bool blst_fp12_is_one(const blst_fp12 *a);
"""

# Its layout and quoting are cffi's.
_BANNER = '''"""Generated from blst_declarations.py; do not edit."""

# fmt: off
# ruff: noqa: Q000
# mypy: ignore-errors
'''


def generate() -> str:
    """The text of ``blst_abi.py``."""
    from cffi import FFI  # noqa: PLC0415 - the parser is needed here and nowhere else

    ffi = FFI()
    ffi.cdef(DECLARATIONS)
    ffi.set_source("blst_abi", None)
    with tempfile.TemporaryDirectory() as folder:
        ffi.compile(tmpdir=folder)
        body = Path(folder, "blst_abi.py").read_text()
    return _BANNER + body.partition("\n")[2]  # without the generator's own first comment


if __name__ == "__main__":
    Path(__file__).with_name("blst_abi.py").write_text(generate())
