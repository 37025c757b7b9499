#pragma once

// Internal to core/usage: how the passing bytes are skipped, 16 at a time where the processor can.

#include <bit>
#include <cstdint>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace dbx::usage {

// The first byte that `wanted` accepts, or `end`. `wanted_mask` gives the same answer for 16 bytes at once.
template <class Set>
inline const char* find_byte(const char* at, const char* end) {
#if defined(__SSE2__)
    while (end - at >= 16) {
        const __m128i block = _mm_loadu_si128(reinterpret_cast<const __m128i*>(at));
        const auto mask = static_cast<std::uint32_t>(_mm_movemask_epi8(Set::block(block)));
        if (mask != 0) return at + std::countr_zero(mask);
        at += 16;
    }
#endif
    while (at != end && !Set::byte(*at)) ++at;
    return at;
}

// What ends a run inside a JSON string.
struct QuoteOrBackslash {
    static bool byte(char c) { return c == '"' || c == '\\'; }
#if defined(__SSE2__)
    static __m128i block(__m128i bytes) {
        return _mm_or_si128(_mm_cmpeq_epi8(bytes, _mm_set1_epi8('"')),
                            _mm_cmpeq_epi8(bytes, _mm_set1_epi8('\\')));
    }
#endif
};

// What matters in a JSON container that is skipped: quotes and brackets. '[' and '{', ']' and '}' differ in
// one bit.
struct QuoteOrBracket {
    static bool byte(char c) { return c == '"' || (c | 0x20) == '{' || (c | 0x20) == '}'; }
#if defined(__SSE2__)
    static __m128i block(__m128i bytes) {
        const __m128i folded = _mm_or_si128(bytes, _mm_set1_epi8(0x20));
        return _mm_or_si128(_mm_cmpeq_epi8(bytes, _mm_set1_epi8('"')),
                            _mm_or_si128(_mm_cmpeq_epi8(folded, _mm_set1_epi8('{')),
                                         _mm_cmpeq_epi8(folded, _mm_set1_epi8('}'))));
    }
#endif
};

struct LineEnd {
    static bool byte(char c) { return c == '\n' || c == '\r'; }
#if defined(__SSE2__)
    static __m128i block(__m128i bytes) {
        return _mm_or_si128(_mm_cmpeq_epi8(bytes, _mm_set1_epi8('\n')),
                            _mm_cmpeq_epi8(bytes, _mm_set1_epi8('\r')));
    }
#endif
};

} // namespace dbx::usage
