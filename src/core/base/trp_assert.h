
/*
 * Copyright (C) the trp authors
 */


/*
 * Assertions: what a function requires of its callers in this program.  A
 * failed assertion is a bug in this program and aborts the process.  Input
 * from peers is never asserted; it is validated and answered.
 *
 * Assertions are compiled in with TRP_DEBUG only: unit tests, fuzzers,
 * SANITIZE=1.  Other builds contain no code for them, so a condition must have
 * no side effects.  NGX_DEBUG would not do: Debian's nginx is built with it.
 */


#ifndef TRP_ASSERT_H_INCLUDED
#define TRP_ASSERT_H_INCLUDED


#ifdef TRP_DEBUG

#undef NDEBUG
#include <assert.h>

#define trp_assert(condition)  assert(condition)

#else

/* evaluates nothing, but avoids warnings about unused names */

#define trp_assert(condition)  ((void) sizeof((condition) ? 1 : 0))

#endif


#endif /* TRP_ASSERT_H_INCLUDED */
