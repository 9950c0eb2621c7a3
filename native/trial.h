// What a trial's two processes, the host and its child, agree on.
#ifndef RECOVERY_TRIAL_H
#define RECOVERY_TRIAL_H

namespace recovery {

// What the child says when nothing is wrong.
constexpr const char* kTrialPassed = "passed";

// RV_TRIAL_ALL and the others, as arguments of the child.
constexpr const char* kTrialDepths[] = {"all", "keys", "some"};

}  // namespace recovery

#endif
