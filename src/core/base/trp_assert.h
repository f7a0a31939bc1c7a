
/*
 * Copyright (C) the trp authors
 */


/*
 * What a function takes for granted of its callers in this program.  A
 * condition that does not hold is a bug here, and ends the process where it
 * is seen.  What peers send is never such a condition: it is looked at, and
 * answered.
 *
 * Only builds with TRP_DEBUG look: unit tests, fuzzers, SANITIZE=1.  Others
 * have no code of it, so a condition must not change anything.  NGX_DEBUG
 * cannot stand for it, for Debian's release of nginx is built with that.
 */


#ifndef TRP_ASSERT_H_INCLUDED
#define TRP_ASSERT_H_INCLUDED


#ifdef TRP_DEBUG

#undef NDEBUG
#include <assert.h>

#define trp_assert(condition)  assert(condition)

#else

/* nothing is evaluated, but the names in it count as used */

#define trp_assert(condition)  ((void) sizeof((condition) ? 1 : 0))

#endif


#endif /* TRP_ASSERT_H_INCLUDED */
