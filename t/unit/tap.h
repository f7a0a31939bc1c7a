
/*
 * Copyright (C) the trp authors
 */


/*
 * Test Anything Protocol for the unit tests:
 *
 *     plan(2);                               optional, else at the end
 *     ok(trp_port_parse(text) == 0, "port %s", p);
 *     is_int(got, want, "listen port");
 *     is_str(got, want, "host");             NULL is a value too
 *
 *     return done_testing();                 the exit status
 *
 * All of them return 1 if the check held.
 */


#ifndef TAP_H_INCLUDED
#define TAP_H_INCLUDED


#include <stdio.h>
#include <stdarg.h>
#include <string.h>


#define ok(cond, ...)                                                         \
    tap_ok(__FILE__, __LINE__, (cond) ? 1 : 0, __VA_ARGS__)

#define is_int(got, want, ...)                                                \
    tap_is_int(__FILE__, __LINE__, (long long) (got), (long long) (want),     \
               __VA_ARGS__)

#define is_str(got, want, ...)                                                \
    tap_is_str(__FILE__, __LINE__, (got), (want), __VA_ARGS__)


static int  tap_planned = -1;
static int  tap_count;
static int  tap_failed;


static inline void
plan(int n)
{
    tap_planned = n;
    printf("1..%d\n", n);
}


static inline int
tap_result(const char *file, int line, int held, const char *fmt, va_list ap)
{
    tap_count++;
    tap_failed += !held;

    printf("%sok %d - ", held ? "" : "not ", tap_count);
    vprintf(fmt, ap);
    printf("\n");

    if (!held) {
        printf("# failed at %s:%d\n", file, line);
    }

    /* a crash must not take the results before it along */

    fflush(stdout);

    return held;
}


__attribute__((format(printf, 4, 5)))
static inline int
tap_ok(const char *file, int line, int held, const char *fmt, ...)
{
    va_list  ap;

    va_start(ap, fmt);
    tap_result(file, line, held, fmt, ap);
    va_end(ap);

    return held;
}


__attribute__((format(printf, 5, 6)))
static inline int
tap_is_int(const char *file, int line, long long got, long long want,
    const char *fmt, ...)
{
    int      held;
    va_list  ap;

    held = (got == want);

    va_start(ap, fmt);
    tap_result(file, line, held, fmt, ap);
    va_end(ap);

    if (!held) {
        printf("#      got: %lld\n# expected: %lld\n", got, want);
    }

    return held;
}


__attribute__((format(printf, 5, 6)))
static inline int
tap_is_str(const char *file, int line, const char *got, const char *want,
    const char *fmt, ...)
{
    int      held;
    va_list  ap;

    held = (got == NULL || want == NULL) ? got == want
                                         : strcmp(got, want) == 0;

    va_start(ap, fmt);
    tap_result(file, line, held, fmt, ap);
    va_end(ap);

    if (!held) {
        printf("#      got: %s%s%s\n", got ? "'" : "", got ? got : "NULL",
               got ? "'" : "");
        printf("# expected: %s%s%s\n", want ? "'" : "", want ? want : "NULL",
               want ? "'" : "");
    }

    return held;
}


static inline int
done_testing(void)
{
    if (tap_planned == -1) {
        plan(tap_count);

    } else if (tap_planned != tap_count) {
        printf("# planned %d tests, ran %d\n", tap_planned, tap_count);
        return 1;
    }

    if (tap_failed) {
        printf("# failed %d of %d tests\n", tap_failed, tap_count);
        return 1;
    }

    return tap_count == 0;
}


#endif /* TAP_H_INCLUDED */
