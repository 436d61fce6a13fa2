// libipsec-mb's ChaCha20-Poly1305 over a train of transport messages, for crypto_bench only; nothing of it is shipped.
//     gcc -O2 -shared -fPIC -o ipsec_mb_shim.so ipsec_mb_shim.c -lIPSec_MB        (Debian: libipsec-mb-dev)
#include <intel-ipsec-mb.h>
#include <string.h>

enum { HEADER = 16, TAG = 16, MOST = 128 };

static IMB_MGR *manager;

// 0, or -1 where the library can't start; `avx512` chooses the manager for AVX-512, which then picks by VAES and IFMA.
int shim_start(int avx512) {
    manager = alloc_mb_mgr(0);
    if (!manager) return -1;
    if (avx512) init_mb_mgr_avx512(manager); else init_mb_mgr_avx2(manager);
    return imb_get_errno(manager) ? -1 : 0;
}

static void fill(IMB_JOB *job, const uint8_t *key, uint8_t *message, size_t length, uint8_t *nonce, uint8_t *tag,
                 int seal) {
    memset(nonce, 0, 4);
    memcpy(nonce + 4, message + 8, 8);
    memset(&job->u, 0, sizeof job->u);
    job->enc_keys = job->dec_keys = key;
    job->key_len_in_bytes = 32;
    job->src = message + HEADER;
    job->dst = message + HEADER;
    job->cipher_start_src_offset_in_bytes = job->hash_start_src_offset_in_bytes = 0;
    job->msg_len_to_cipher_in_bytes = job->msg_len_to_hash_in_bytes = length - HEADER - TAG;
    job->iv = nonce;
    job->iv_len_in_bytes = 12;
    job->auth_tag_output = tag;
    job->auth_tag_output_len_in_bytes = TAG;
    job->cipher_mode = IMB_CIPHER_CHACHA20_POLY1305;
    job->hash_alg = IMB_AUTH_CHACHA20_POLY1305;
    job->cipher_direction = seal ? IMB_DIR_ENCRYPT : IMB_DIR_DECRYPT;
    job->chain_order = seal ? IMB_ORDER_CIPHER_HASH : IMB_ORDER_HASH_CIPHER;
}

// Seals or opens up to 128 messages of one length; the number that came back complete (and authentic).
size_t shim_train(const uint8_t *key, uint8_t *train, size_t length, size_t count, int seal, int burst) {
    static uint8_t nonces[MOST][16], tags[MOST][TAG];
    size_t good = 0;
    if (burst) {
        static IMB_JOB *jobs[MOST];
        for (size_t at = 0; at < count;) {
            uint32_t room = IMB_GET_NEXT_BURST(manager, count - at, jobs);
            for (uint32_t i = 0; i < room; i++) {
                uint8_t *message = train + (at + i) * length;
                fill(jobs[i], key, message, length, nonces[at + i], seal ? message + length - TAG : tags[at + i], seal);
            }
            at += IMB_SUBMIT_BURST(manager, room, jobs);
            if (imb_get_errno(manager)) return 0;
        }
        good = count;
    } else {
        for (size_t i = 0; i < count; i++) {
            uint8_t *message = train + i * length;
            IMB_JOB *job = IMB_GET_NEXT_JOB(manager);
            fill(job, key, message, length, nonces[i], seal ? message + length - TAG : tags[i], seal);
            job = IMB_SUBMIT_JOB(manager);
            if (job && job->status == IMB_STATUS_COMPLETED) good++;
        }
        while (IMB_FLUSH_JOB(manager)) good++;
    }
    if (!seal)
        for (size_t i = 0; i < count; i++)
            if (memcmp(tags[i], train + (i + 1) * length - TAG, TAG)) good--;
    return good;
}
