//! What a plugin may say of itself: contract v1 and v1.1, validated with field addresses.
